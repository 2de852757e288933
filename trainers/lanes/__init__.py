"""Many trials trained as one program: stacked weights, one forward pass for all lanes (HFTA)."""
