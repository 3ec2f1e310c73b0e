"""The promises of a Scorer, over all plain baselines."""

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
from eval.systems import Scorer
from retrieval.adapters.embedder_hashing import HashingEmbedder
from tests.unit.eval.baselines.scorer_contract import ScorerContract


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
