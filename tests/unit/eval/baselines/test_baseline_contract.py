"""The promises of a Scorer, over all plain baselines."""

from dataclasses import replace
from typing import ClassVar

from eval.baselines.als import Als
from eval.baselines.content import Content
from eval.baselines.cooccurrence import LAST_ITEM, MARKOV, Cooccurrence
from eval.baselines.ease import Ease
from eval.baselines.item_knn import ItemKnn
from eval.baselines.popular import Popular, PopularRecent
from eval.baselines.taste import ContentPopular
from eval.baselines.user_knn import UserKnn
from eval.data.interactions import Codes
from eval.learned import LearnedCounts, LearnedNetwork, Materials
from eval.systems import Scorer
from retrieval.adapters.embedder_hashing import HashingEmbedder
from retrieval.models.following import FollowingSettings
from retrieval.models.network import Encoder
from tests.unit.eval.baselines.scorer_contract import ScorerContract
from tests.unit.eval.quick_recipe import NETWORK, SCHEDULE


class TestPopular(ScorerContract):
    def make(self) -> Scorer:
        return Popular()

    def chance(self, ranked: Codes, targets: Codes) -> float:
        return 0.0  # nothing is popular in a world of walks


class TestPopularRecent(TestPopular):
    silent: ClassVar[tuple[int, ...]] = ()

    def make(self) -> Scorer:
        return PopularRecent()


class TestItemKnn(ScorerContract):
    def make(self) -> Scorer:
        return ItemKnn()


class TestCooccurrence(ScorerContract):
    def make(self) -> Scorer:
        return Cooccurrence()


class TestMarkov(ScorerContract):
    def make(self) -> Scorer:
        return Cooccurrence(MARKOV, "markov")


class TestLastItem(ScorerContract):
    def make(self) -> Scorer:
        return Cooccurrence(LAST_ITEM, "last_item")


class TestEase(ScorerContract):
    def make(self) -> Scorer:
        return Ease()


class TestAls(ScorerContract):
    def make(self) -> Scorer:
        return Als({"factors": (16,), "alpha": (20.0, 1.0), "regularisation": (1.0,), "iterations": (5,)})


class TestContent(ScorerContract):
    silent: ClassVar[tuple[int, ...]] = (1,)  # an item that nobody has bought is known by its text

    def make(self) -> Scorer:
        return Content(HashingEmbedder())


class TestUserKnn(ScorerContract):
    def make(self) -> Scorer:
        return UserKnn()


class TestContentPopular(ScorerContract):
    silent: ClassVar[tuple[int, ...]] = (1,)

    def make(self) -> Scorer:
        return ContentPopular(HashingEmbedder())


def materials() -> Materials:
    return Materials(HashingEmbedder(), dict)


class TestLearnedCounts(ScorerContract):
    silent: ClassVar[tuple[int, ...]] = (1,)

    def make(self) -> Scorer:
        return LearnedCounts(FollowingSettings(), materials())


class TestLearnedTransformer(ScorerContract):
    silent: ClassVar[tuple[int, ...]] = ()  # it has learned what people begin with
    encoder: ClassVar[Encoder] = "transformer"

    def make(self) -> Scorer:
        settings = replace(NETWORK, shape=replace(NETWORK.shape, encoder=self.encoder))
        return LearnedNetwork(self.encoder, settings, materials(), replace(SCHEDULE, epochs=6, measure_from=4))


class TestLearnedGru(TestLearnedTransformer):
    encoder: ClassVar[Encoder] = "gru"
