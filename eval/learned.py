"""What the service learns to rank by, as systems of the harness: each network alone, the counts alone, and the fusion.

Takes an embedder and the products as the service would import them; texts, brands, categories and prices are thus the
very ones that are served. What was trained is kept under `Learning.cache` by everything that it depends on. Knows no
target of a test part and no metric.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from importlib import metadata
from pathlib import Path
from typing import cast

import numpy as np
import torch

from eval.baselines.content import text_vectors
from eval.cold_start import without_history
from eval.data.interactions import TYPES, Codes, Flags, Histories
from eval.protocols.split import Pools
from eval.results import DISTRIBUTION, commit_of, machine
from eval.systems import ItemScores, Learning, Settings
from finetune.adversarial import AdversarialSettings, train_grown
from finetune.next_item import (
    Corpus,
    NetworkSettings,
    Recipe,
    Trained,
    indexed,
    item_vectors,
    looked_up,
    train_network,
    train_ranker,
)
from finetune.pretrained import Pretrained
from finetune.training import Epoch, Schedule, best_of
from retrieval.model_card import ModelCard, Scalar, TrainingData, new_id
from retrieval.models.following import Following, FollowingSettings
from retrieval.models.item_features import Description, ItemFeatures, Vocabulary
from retrieval.models.network import NextItemNetwork
from retrieval.models.ranker import NextItemRanker, Shelf
from retrieval.models.ranker_files import StoredRanker, read_ranker, write_ranker
from retrieval.models.sequences import KINDS, Sequences
from retrieval.text import product_text
from tasteline.errors import InvalidInput
from tasteline.ports import Embedder
from tasteline.types import Product

Products = Callable[[], Mapping[str, Product]]
Heard = Callable[[str, Epoch], None]
"""Which part of a training, and its epoch."""
VERSION = 2
"""Raise it when the code learns something else from the same settings: what was kept is then trained anew."""
_KIND_OF_TYPE = np.array([KINDS.get(each, -1) for each in TYPES], dtype=np.int8)


class Materials:
    """What all learned systems of one data set are made of."""

    def __init__(self, embedder: Embedder, products: Products, heard: Heard = lambda part, epoch: None) -> None:
        self.embedder = embedder
        self._products = products
        self.heard = heard
        self._corpora: dict[str, tuple[Vocabulary, Corpus]] = {}

    @cached_property
    def products(self) -> Mapping[str, Product]:
        return self._products()

    def corpus(self, learning: Learning) -> tuple[Vocabulary, Corpus]:
        """The histories of train, each one's first valid target for stopping, and the items as the shop knows them."""
        if learning.checksum not in self._corpora:
            self._corpora[learning.checksum] = self._made(learning)
        return self._corpora[learning.checksum]

    def _made(self, learning: Learning) -> tuple[Vocabulary, Corpus]:
        catalogue = learning.catalogue
        described = [self._described(each, text) for each, text in zip(catalogue.ids, catalogue.texts, strict=True)]
        vocabulary = Vocabulary.of(described)
        texts = text_vectors(self.embedder, [each.text for each in described], learning.cache)
        people = learning.train.histories(np.unique(learning.train.users))
        targets = learning.valid.targets
        corpus = Corpus(
            histories=steps_of(people, timed=learning.timed),
            features=ItemFeatures(texts, vocabulary.codes(described)),
            sizes=vocabulary.sizes,
            valid=steps_of(learning.valid.histories, timed=learning.timed).merged(),
            valid_targets=targets.items[targets.starts[:-1]].astype(np.int64),
            repeats=bool(learning.repeats),
            asked=_asked(learning.valid.pools),
        )
        return vocabulary, corpus

    def _described(self, item_id: str, text: str) -> Description:
        product = self.products.get(item_id)
        return Description.of(product, product_text(product)) if product else Description(text)


def _asked(pools: Pools | None) -> Flags | None:
    """(items,) those of the pools that valid cases ask about."""
    return None if pools is None else np.isin(pools.of_items, pools.of_cases)


def steps_of(histories: Histories, *, timed: bool) -> Sequences:
    """Histories as the models read them; events that say nothing of what comes next are left out."""
    kinds = _KIND_OF_TYPE[histories.types]
    kept = kinds >= 0
    starts = np.concatenate(([0], np.cumsum(kept)))[histories.starts].astype(np.int64)
    moments = histories.order.astype(np.float64) if timed else np.full(len(histories.items), np.nan)
    return Sequences(starts, histories.items[kept].astype(np.int64), kinds[kept], moments[kept])


class LearnedNetwork:
    """One network of the recipe alone: score = what it says of the person . vector of the item."""

    def __init__(
        self,
        name: str,
        settings: NetworkSettings,
        materials: Materials,
        schedule: Schedule,
        grown: AdversarialSettings | None = None,
    ) -> None:
        """`grown`: how short histories are made longer in training; None: not at all."""
        self.name = name
        self._settings, self._materials, self._schedule, self._grown = settings, materials, schedule, grown
        self.curve: list[tuple[float, float, float]] = []
        self.fit_seconds = 0.0

    def fit(self, learning: Learning) -> Settings:
        _, corpus = self._materials.corpus(learning)
        fit = Keeping(learning.cache, grown=self._grown)
        self._network, curve = fit(
            corpus,
            self._settings,
            self._schedule,
            seed=learning.seed,
            told=lambda epoch: self._materials.heard(self.name, epoch),
        )
        self._vectors = torch.from_numpy(item_vectors(self._network, corpus.touched))
        self.fit_seconds = curve[-1].seconds
        self.curve = [(each.number, each.seconds, each.value) for each in curve if each.value == each.value]
        self._timed = learning.timed
        shape = {name: value for name, value in asdict(self._settings.shape).items() if value is not None}
        if self._grown:
            shape |= {f"adversarial_{name}": value for name, value in asdict(self._grown).items()}
        return {**shape, "negatives": self._settings.negatives, "epochs": best_of(curve).number}

    def score(self, histories: Histories) -> ItemScores:
        with torch.inference_mode():
            scores: ItemScores = (
                self._network.people(steps_of(histories, timed=self._timed).merged()) @ self._vectors.T
            ).numpy()
        return scores


class LearnedCounts:
    """The counts of the recipe alone: what follows what, smoothed by likeness."""

    name = "following"

    def __init__(self, settings: FollowingSettings, materials: Materials) -> None:
        self._settings, self._materials = settings, materials

    def fit(self, learning: Learning) -> None:
        _, corpus = self._materials.corpus(learning)
        self._following = Following.fit(corpus.histories, corpus.features.texts, self._settings)
        self._timed = learning.timed

    def score(self, histories: Histories) -> ItemScores:
        people = self._following.people(steps_of(histories, timed=self._timed))
        popular = self._following.popularity / max(float(self._following.popularity.sum()), 1.0)
        scores: ItemScores = (people @ self._following.smoothed).toarray() + 1e-9 * popular.astype(np.float32)
        return scores


class Learned:
    """The whole ranker, in batches; the service asks the very same one for one person at a time."""

    name = "learned"

    def __init__(
        self, recipe: Recipe, materials: Materials, begin: StoredRanker | None = None, name: str = name
    ) -> None:
        """`begin`: another shop's ranker, whose networks these begin from instead of from nothing."""
        self.name = name
        self.recipe, self._materials, self._begin = recipe, materials, begin
        self.stored: StoredRanker | None = None
        self.fit_seconds = 0.0

    def fit(self, learning: Learning) -> Settings:
        vocabulary, corpus = self._materials.corpus(learning)
        folder = self._folder(learning, vocabulary, corpus)
        if folder is None or not folder.is_dir():
            trained = self._train(learning, vocabulary, corpus)
            self.stored = self._storable(learning, vocabulary, corpus, trained)
            self.fit_seconds = trained.seconds
            if folder is not None:
                _keep(self.stored, folder, self.fit_seconds)
        else:
            self.stored = read_ranker(folder)
            self.fit_seconds = float(json.loads((folder / SECONDS_FILE).read_text())["seconds"])
        shelf = Shelf(
            looked_up(corpus.features.texts),
            corpus.features.codes,
            self.stored.following,
            tuple(indexed(each) for each in self.stored.vectors.values()),
        )
        self._ranker = NextItemRanker(
            list(self.stored.networks.values()), self.stored.fusion, shelf, from_each=self.stored.from_each
        )
        self._timed = learning.timed
        return {"networks": ", ".join(self.recipe.networks), "from_each": self.recipe.from_each}

    def rank(self, histories: Histories, k: int) -> Codes:
        assert self.stored is not None
        steps, repeats = steps_of(histories, timed=self._timed), self.stored.repeats
        # What somebody has taken out of a cart is no step for the ranker, but the list must do without it all the same.
        unheard = 0 if repeats else int((histories.lengths - steps.lengths).max(initial=0))
        ranked = self._ranker.rank(steps, k + unheard, repeats=repeats)[0].astype(np.int32)
        return without_history(ranked, histories, k) if unheard else ranked

    def _train(self, learning: Learning, vocabulary: Vocabulary, corpus: Corpus) -> Trained:
        fit = Keeping(learning.cache, self._begun(vocabulary))
        return train_ranker(corpus, self.recipe, seed=learning.seed, told=self._materials.heard, fit=fit)

    def _begun(self, vocabulary: Vocabulary) -> list[Pretrained]:
        if self._begin is None:
            return []
        if self._begin.embedder != self._materials.embedder.name:
            raise InvalidInput(
                f"the model to begin from reads texts of {self._begin.embedder}, this shop those of "
                f"{self._materials.embedder.name}; choose another model or the same embedder"
            )
        shapes = [settings.shape for settings in self.recipe.networks.values()]
        fitting = [each for each in self._begin.networks.values() if each.shape in shapes]
        if not fitting:
            raise InvalidInput("the model to begin from is of another shape; choose one of the same recipe")
        return [Pretrained.of(each, self._begin.vocabulary, vocabulary) for each in fitting]

    def _folder(self, learning: Learning, vocabulary: Vocabulary, corpus: Corpus) -> Path | None:
        if learning.cache is None:
            return None
        known = [VERSION, self.recipe.as_json(), learning.seed, corpus.fingerprint(), self._materials.embedder.name]
        known += [begun.fingerprint() for begun in self._begun(vocabulary)]
        digest = hashlib.sha256(json.dumps([*known, list(learning.catalogue.ids)]).encode())
        return learning.cache / Learned.name / digest.hexdigest()[:16]

    def _storable(self, learning: Learning, vocabulary: Vocabulary, corpus: Corpus, trained: Trained) -> StoredRanker:
        return StoredRanker(
            item_ids=learning.catalogue.ids,
            vocabulary=vocabulary,
            codes=corpus.features.codes,
            networks=trained.networks,
            vectors={name: item_vectors(each, corpus.touched) for name, each in trained.networks.items()},
            fusion=trained.fusion,
            following=trained.following,
            repeats=bool(learning.repeats),
            from_each=self.recipe.from_each,
            embedder=self._materials.embedder.name,
        )


def card_of(ranker: Learned, learning: Learning, metrics: Mapping[str, Mapping[str, float]], split: str) -> ModelCard:
    """What the registry keeps of a ranker: how it came about, and its table where it was measured."""
    created, commit = datetime.now(UTC), commit_of(Path(__file__).parent)
    train = learning.train
    people = len(np.unique(train.users))
    return ModelCard(
        id=new_id(created, secrets.token_hex(3)),
        kind="next-item",
        created=created,
        data=TrainingData(learning.dataset, learning.checksum, people, len(learning.catalogue), len(train)),
        settings=_flat(ranker.recipe.as_json()),
        metrics=metrics,
        system=Learned.name,
        main_metric=MAIN_METRIC,
        split=split,
        seconds=ranker.fit_seconds,
        seed=learning.seed,
        machine=cast(Mapping[str, str | int], machine()),
        version=metadata.version(DISTRIBUTION),
        commit=commit.sha if commit else None,
        dirty=commit.dirty if commit else False,
    )


def _flat(values: Mapping[str, object], before: str = "") -> dict[str, Scalar]:
    flat: dict[str, Scalar] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{before}{name}.")
        else:
            flat[f"{before}{name}"] = ", ".join(value) if isinstance(value, tuple) else cast(Scalar, value)
    return flat


SECONDS_FILE = "seconds.json"
MAIN_METRIC = "ndcg@10"


def _keep(stored: StoredRanker, folder: Path, seconds: float) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    writing = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", suffix=".tmp", dir=folder.parent))
    try:
        write_ranker(stored, writing)
        (writing / SECONDS_FILE).write_text(json.dumps({"seconds": seconds}), encoding="utf-8")
        if not folder.is_dir():  # else another run has kept the same meanwhile
            writing.rename(folder)
    finally:
        shutil.rmtree(writing, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Keeping:
    """`train_network` that reads back what it trained before; a training that was broken off goes on."""

    cache: Path | None
    begun: Sequence[Pretrained] = ()
    """What each network of the same shape begins from."""
    grown: AdversarialSettings | None = None
    """How short histories are made longer; None: not at all. Such networks begin from nothing."""

    def __call__(
        self,
        corpus: Corpus,
        settings: NetworkSettings,
        schedule: Schedule,
        *,
        seed: int,
        told: Callable[[Epoch], None] = lambda epoch: None,
        blind: bool = False,
    ) -> tuple[NextItemNetwork, list[Epoch]]:
        begun = next((each for each in self.begun if each.network.shape == settings.shape), None)
        train = partial(train_grown, grown=self.grown) if self.grown else partial(train_network, begun=begun)
        if self.cache is None:
            return train(corpus, settings, schedule, seed=seed, told=told, blind=blind)
        known = [VERSION, asdict(settings), asdict(schedule), seed, blind, corpus.fingerprint()]
        known += [begun.fingerprint()] if begun else []
        known += [asdict(self.grown)] if self.grown else []
        name = hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]
        file = self.cache / "networks" / f"{name}.pt"
        if file.is_file():
            stored = torch.load(file, weights_only=True)
            network = NextItemNetwork(corpus.features, corpus.sizes, settings.shape)
            network.load_state_dict(stored["weights"])
            return network.eval(), [Epoch(**each) for each in stored["curve"]]
        checkpoint = file.with_suffix(".checkpoint")
        network, curve = train(corpus, settings, schedule, seed=seed, told=told, checkpoint=checkpoint, blind=blind)
        self._write(file, network, curve)
        return network, curve

    @staticmethod
    def _write(file: Path, network: NextItemNetwork, curve: Sequence[Epoch]) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        writing = file.with_suffix(".tmp")
        torch.save({"weights": network.state_dict(), "curve": [asdict(each) for each in curve]}, writing)
        writing.replace(file)
