"""A head per annotator on one shared body: r_k(x, y) = h(x, y) . (w + v_k), with v_k shrunk towards 0.

h is the body's last hidden state at the reply's last token and w the reward model's own head, so that the v_k say how
annotator k departs from all. Because heads are linear, a weighted sum of them is one head again: after training
w + sum_k p_k v_k is an ordinary one-label reward model, and nothing of the others is left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


class AnnotatorHeads(nn.Module):
    """``offsets`` holds v (K, d), zero at first, one row per name in ``names``.

    ``shrink`` is the precision of v's normal prior: the summed loss of all comparisons gets shrink / 2 * |v|^2.
    """

    def __init__(self, names: Sequence[str], hidden_size: int, *, shrink: float = 1.0) -> None:
        super().__init__()
        self.rows: Mapping[str, int] = {name: row for row, name in enumerate(names)}
        self.offsets = nn.Parameter(torch.zeros(len(names), hidden_size))
        self.shrink = shrink

    def forward(self, states: Tensor, annotators: Sequence[str]) -> Tensor:
        """Returns h . v_k (N,) for states (N, d) and the annotator of each; 0 for names that are not known."""
        known = torch.tensor([name in self.rows for name in annotators], device=states.device)
        rows = torch.tensor([self.rows.get(name, 0) for name in annotators], device=states.device)
        return (states.to(self.offsets.dtype) * self.offsets[rows]).sum(-1) * known

    def penalty(self, comparisons: int) -> Tensor:
        """Returns shrink / 2 * |v|^2 per comparison: what a batch's mean loss gets, whatever its micro-batches."""
        return 0.5 * self.shrink * (self.offsets**2).sum() / comparisons

    def add_up(self, head: nn.Linear, shares: Sequence[float]) -> None:
        """Makes ``head`` (1, d) the sum w + sum_k p_k v_k, ``shares`` being p in the order of the names."""
        with torch.no_grad():
            p = torch.tensor(shares, dtype=self.offsets.dtype, device=self.offsets.device)
            head.weight += (p @ self.offsets).to(head.weight.dtype)
