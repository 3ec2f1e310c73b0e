"""SASRec with sampled softmax: self-attention over item numbers, the plain learned model that others must beat.

Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018, trained as Klenitskiy and Vasilev, "Turning
Dross Into Gold Loss: is BERT4Rec really better than SASRec?", RecSys 2023: a softmax over the next item and sampled
others. It knows item numbers and their order only: no text, no price, no time, no kind of event.

Chosen on the valid part of Beauty, measured over all its people, one seed. Width 64, one block and one head were not
tried against others: they are what the best published run of this model has.

| item vectors | dropout | negatives | log-Q | learning rate | best epoch | nDCG@10 | recall@10 |
|---|---|---|---|---|---|---|---|
| times sqrt(width) | .4 | 2,048 | no | .001 | 31 | **.0677** | **.1109** |
| times sqrt(width) | .5 | 2,048 | no | .002 | 17 | .0662 | .1097 |
| times sqrt(width) | .3 | 2,048 | no | .002 | 17 | .0649 | .1085 |
| times sqrt(width) | .2 | 2,048 | no | .001 | 17 | .0646 | .1056 |
| as they are | .2 | 2,048 | yes | .001 | 28 | .0617 | .1039 |
| times sqrt(width) | .2 | 512 | yes | .001 | 20 | .0609 | .1024 |
| as they are | .2 | 2,048 | no | .001 | 29 | .0603 | .1016 |

Another run of the first row gave .0687 and .1136 (epoch 30): rows that are closer than that are not told apart. On
Sports, where nothing was chosen, it gave .0393 and .0672 (epoch 25).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch

from eval.baselines.sasrec_network import Network
from eval.baselines.sasrec_training import Epoch, SasRecSettings, Told, network_of, train, with_start
from eval.baselines.tuning import CASES, CUT_OFF, drawn, mean_ndcg
from eval.data.interactions import Histories
from eval.systems import ItemScores, Learning
from retrieval.models.network import Packed
from tasteline.errors import InvalidInput

VERSION = 1
"""Raise it when the code learns something else from the same settings: what was kept is then trained anew."""
_HISTORIES_AT_ONCE = 1024


class SasRec:
    """score(j) = state after the last item . vector of j.

    An empty history is asked from the state of the start, which learned what people begin with. Items that train does
    not have are drawn as negatives like all others, and so end up below them.

    `fit` keeps what it trained under `Learning.cache` and reads it back with its curve and its seconds.
    """

    name = "sasrec"

    def __init__(self, settings: SasRecSettings | None = None, told: Told = lambda epoch: None) -> None:
        """`told` hears of each epoch when it is done; of none if the weights were kept from before."""
        self._settings = settings or SasRecSettings()
        self._told = told
        self.curve: list[tuple[int, float, float]] = []
        """(epoch, seconds since the start, nDCG@10 on the drawn valid cases)"""
        self.fit_seconds = 0.0
        """Of the training, whether it was now or then."""

    def fit(self, learning: Learning) -> dict[str, int | float | str | bool | None]:
        """Gives the settings, with the epoch that was kept as `epochs`, and its nDCG@10 on the drawn valid cases.

        Raises InvalidInput for a catalogue of fewer than two items, among which there is nothing to learn.
        """
        items = len(learning.catalogue)
        if items < 2:
            raise InvalidInput(f"{self.name} learns which of several items comes next; the catalogue has {items}")
        file = _file(learning, self._settings)
        if file is None or not file.is_file():
            self._network, epochs = self._train(learning, items)
            self.curve = [(each.number, each.seconds, each.ndcg) for each in epochs]
            if file is not None:
                _write(file, self._network, self.curve)
        else:
            self._network, self.curve = _read(file, items, self._settings)
        self.fit_seconds = self.curve[-1][1]
        best = max(self.curve, key=lambda point: point[2]) if len(learning.valid) else self.curve[-1]
        ndcg = best[2] if len(learning.valid) else None
        return {**asdict(self._settings), "epochs": best[0], f"valid_ndcg@{CUT_OFF}": ndcg}

    def score(self, histories: Histories) -> ItemScores:
        return _score(self._network, histories)

    def _train(self, learning: Learning, items: int) -> tuple[Network, list[Epoch]]:
        cases = drawn(learning.valid, learning.seed)

        def measure(network: Network) -> float:
            return mean_ndcg(lambda histories: _score(network, histories), cases, items, repeats=learning.repeats)

        return train(
            learning.train,
            items,
            self._settings,
            seed=learning.seed,
            measure=measure if len(cases) else None,
            told=self._told,
        )


def _score(network: Network, histories: Histories) -> ItemScores:
    scores = np.empty((len(histories), network.start), dtype=np.float32)
    with torch.inference_mode():
        for begin in range(0, len(histories), _HISTORIES_AT_ONCE):
            part = histories.slice(begin, begin + _HISTORIES_AT_ONCE)
            out = torch.from_numpy(scores[begin : begin + len(part)])
            torch.matmul(_last_states(network, part), network.vectors.T, out=out)
    return scores


def _last_states(network: Network, histories: Histories) -> torch.Tensor:
    tokens, starts = with_start(histories, network.start)
    last = starts[1:]
    first = np.maximum(starts[:-1], last - network.length)
    states: torch.Tensor = network(Packed.of(tokens, first, last))
    return states[torch.from_numpy(np.cumsum(last - first) - 1)]


def _file(learning: Learning, settings: SasRecSettings) -> Path | None:
    """Named by all that the weights depend on; the rows besides the checksum, in case two splits share one."""
    if learning.cache is None:
        return None
    known = [VERSION, CASES, asdict(settings), learning.checksum, learning.seed, learning.repeats]
    digest = sha256(json.dumps([*known, len(learning.catalogue)], sort_keys=True).encode())
    for rows in (learning.train.rows, learning.valid.histories.rows, learning.valid.targets.rows):
        digest.update(np.ascontiguousarray(rows).tobytes())
    return learning.cache / SasRec.name / f"{digest.hexdigest()[:16]}.pt"


def _write(file: Path, network: Network, curve: list[tuple[int, float, float]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    writing = file.with_suffix(".tmp")
    torch.save({"weights": network.state_dict(), "curve": curve}, writing)
    writing.replace(file)


def _read(file: Path, items: int, settings: SasRecSettings) -> tuple[Network, list[tuple[int, float, float]]]:
    stored = torch.load(file, weights_only=True)
    network = network_of(items, settings).eval()
    network.load_state_dict(stored["weights"])
    return network, stored["curve"]
