"""The loss of next-item models: every place of every sequence predicts the next item against a shared sample.

Takes states and vectors, gives a mean. Knows no network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def sampled_softmax(
    states: Tensor,
    following: Tensor,
    sampled: Tensor,
    vectors_of: Callable[[Tensor], Tensor],
    items: int,
    log_weights: Tensor | None = None,
) -> Tensor:
    """Mean over places of -log(exp(s+) / (exp(s+) + sum of exp(s-))): softplus(log sum of exp(s-) - s+).

    `states` (t, d), `following` (t,) the items to predict, `sampled` (m,) distinct items, `vectors_of` gives the
    vectors of item numbers. An item that is itself the one to predict is none of that place's negatives.
    `log_weights` (m,): added to the scores of the sampled, -log of how often each is drawn (log-Q correction, Bengio
    and Senécal, 2008).
    """
    # One look-up for both: the gradient of a look-up is as large as the catalogue.
    vectors = vectors_of(torch.cat([sampled, following]))
    columns = torch.full((items,), -1).index_copy(0, sampled, torch.arange(len(sampled)))[following]
    hit = torch.nonzero(columns >= 0).squeeze(1)
    drawn, positive = vectors[: len(sampled)], vectors[len(sampled) :]
    negatives: Tensor = LogSumExp.apply(states, drawn, hit, columns[hit], log_weights)  # type: ignore[no-untyped-call]
    return functional.softplus(negatives - (states * positive).sum(dim=1)).mean()


class LogSumExp(torch.autograd.Function):
    """log(sum over j of exp(states_i . vectors_j + weights_j)) without the pairs (row, column).

    Places × negatives is the largest thing of a step. Here it is written once and exponentiated in place: 17 ms forward
    and back where `torch.logsumexp` took 35 (1,024 places, 2,048 negatives, width 64, two cores).
    """

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, vectors: Tensor, rows: Tensor, columns: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        powers = states @ vectors.T
        if weights is not None:
            powers += weights
        powers[rows, columns] = -torch.inf
        largest = powers.amax(dim=1, keepdim=True)
        sums = powers.sub_(largest).exp_().sum(dim=1, keepdim=True)
        ctx.save_for_backward(states, vectors, powers, sums)
        return (largest + sums.log()).squeeze(1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        states, vectors, powers, sums = ctx.saved_tensors
        share = gradients[0].unsqueeze(1) / sums
        return share * (powers @ vectors), powers.T @ (share * states), None, None, None
