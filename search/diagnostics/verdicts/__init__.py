"""What learning curves say, and what to turn next.

Reads numbers only: needs no torch, no search, no folder.
"""
