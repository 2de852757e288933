"""An LSTM whose states another function than tanh squashes, such as softsign (R43).

torch's own LSTM has tanh alone. This one is a loop over the steps, and several times slower.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it

from trainers.sequences import real_steps


class SquashedLSTM(nn.Module):
    """Equal to `nn.LSTM(batch_first=True)` with `squash` in place of tanh.

    Args:
        inputs, units: numbers per step; units per direction of a layer.
        num_layers: layers.
        dropout: share of units dropped between layers, 0 to 1.
        bidirectional: whether each layer reads in both directions.
        squash: what bounds candidates and states.
    """

    def __init__(
        self,
        inputs: int,
        units: int,
        *,
        num_layers: int,
        dropout: float,
        bidirectional: bool,
        squash: Callable[[Tensor], Tensor] = F.softsign,
    ) -> None:
        super().__init__()
        self._ways, self._dropout, self._squash = 2 if bidirectional else 1, dropout, squash
        widths = [inputs, *[units * self._ways] * (num_layers - 1)]
        self.cells = nn.ModuleList(
            nn.LSTMCell(width, units) for width in widths for _ in range(self._ways)
        )

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The last layer's states at every step, 0 at padding, and its final ones; as read_steps.

        x [batch, steps, inputs]; `lengths` [batch]: the real steps of each, None: all are.
        """
        real = None if lengths is None else real_steps(lengths, x.shape[1])
        every = [cell for cell in self.cells if isinstance(cell, nn.LSTMCell)]
        for first in range(0, len(every), self._ways):
            if first:
                x = F.dropout(x, self._dropout, self.training)
            cells = every[first : first + self._ways]
            ways = [self._way(cell, x, real, back=bool(way)) for way, cell in enumerate(cells)]
            x = torch.cat([states for states, _ in ways], dim=2)
        return x, torch.cat([last for _, last in ways], dim=1)

    def _way(
        self, cell: nn.LSTMCell, x: Tensor, real: Tensor | None, *, back: bool
    ) -> tuple[Tensor, Tensor]:
        """One layer in one direction: states [batch, steps, units], and the final ones."""
        entering = F.linear(x, cell.weight_ih, cell.bias_ih)
        state = memory = entering.new_zeros(len(x), cell.hidden_size)
        states, steps = [], range(x.shape[1])
        for step in reversed(steps) if back else steps:
            gates = entering[:, step] + F.linear(state, cell.weight_hh, cell.bias_hh)
            taken, kept, candidate, shown = gates.chunk(4, dim=1)
            fresh = torch.sigmoid(kept) * memory + torch.sigmoid(taken) * self._squash(candidate)
            given = torch.sigmoid(shown) * self._squash(fresh)
            if real is None:
                state, memory = given, fresh
                states.append(given)
                continue
            here = real[:, step, None]
            state, memory = torch.where(here, given, state), torch.where(here, fresh, memory)
            states.append(torch.where(here, given, torch.zeros_like(given)))
        return torch.stack(states[::-1] if back else states, dim=1), state
