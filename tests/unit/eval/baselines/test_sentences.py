"""What a newcomer would type comes out of their history alone, and plain systems answer it."""

import numpy as np
import pytest

from eval.baselines.sentence import Sentences, SpokenBm25, SpokenDense, SpokenSystem
from eval.data.interactions import Catalogue, Histories
from retrieval.adapters.embedder_hashing import HashingEmbedder
from retrieval.adapters.lexical_tantivy import TantivyLexicalIndex

TEXTS = ("Quiet copper kettle", "Loud iron kettle", "Warm woollen scarf", "Thin silken scarf", "Storm tent") * 5
CATALOGUE = Catalogue(
    tuple(f"p{item}" for item in range(25)), TEXTS, ("Kitchen", "Kitchen", "Clothing", "Clothing", "") * 5
)
HISTORIES = Histories.of([[0, 1, 5], [2, 3, 0], [4], [], [7, 2]])


def test_a_sentence_names_the_most_frequent_and_the_most_telling() -> None:
    kitchen, both, tent, empty, _ = Sentences(CATALOGUE).of(HISTORIES)
    assert "kitchen" in kitchen
    assert "kettle" in kitchen
    assert "clothing and kitchen" in both  # two of three are clothes
    assert "something" in tent  # no category
    assert "storm and tent" in tent
    assert empty == ""


def test_a_sentence_uses_no_word_that_the_history_lacks() -> None:
    for sentence, case in zip(Sentences(CATALOGUE).of(HISTORIES), range(len(HISTORIES)), strict=True):
        own = {word for item in HISTORIES.of_case(case) for word in TEXTS[item].lower().split()}
        foreign = {word for text in TEXTS for word in text.lower().split()} - own
        assert not foreign & set(sentence.lower().strip(".").replace(",", "").split())


def test_a_sentence_is_the_same_alone_and_again_and_turns_with_the_seed() -> None:
    sentences = Sentences(CATALOGUE).of(HISTORIES)
    alone = [Sentences(CATALOGUE).of(HISTORIES.slice(case, case + 1))[0] for case in range(len(HISTORIES))]
    assert alone == sentences
    assert len({tuple(Sentences(CATALOGUE, seed).of(HISTORIES)) for seed in range(8)}) > 1


def test_a_word_of_the_category_is_not_said_twice() -> None:
    texts = ("kitchen kettle", "kitchen kettle", "scarf", "scarf", "tent") * 5
    (sentence,) = Sentences(Catalogue(CATALOGUE.ids, texts, CATALOGUE.categories)).of(Histories.of([[0, 1]]))
    assert sentence.count("kitchen") == 1


def test_rare_words_are_not_typed() -> None:
    catalogue = Catalogue(CATALOGUE.ids, ("Zebraic kettle", *TEXTS[1:]), CATALOGUE.categories)
    (sentence,) = Sentences(catalogue).of(Histories.of([[0]]))
    assert "kettle" in sentence
    assert "zebraic" not in sentence
    nameless = Catalogue(("a",), ("",), ("Tents",))
    assert Sentences(nameless).of(Histories.of([[0]])) == ["I am looking for tents."]


@pytest.mark.parametrize("kind", ["dense", "bm25"])
def test_plain_systems_rank_the_catalogue_for_a_sentence(kind: str) -> None:
    system: SpokenSystem = (
        SpokenDense(HashingEmbedder(), CATALOGUE)
        if kind == "dense"
        else SpokenBm25(TantivyLexicalIndex(coordination=False), CATALOGUE)
    )
    assert system.name == kind
    ranked = system.rank_sentences(["I am looking for a woollen scarf.", ""], 8)
    assert ranked.shape == (2, 8)
    assert set(ranked[0, :5].tolist()) == {2, 7, 12, 17, 22}
    assert (ranked[1] == -1).all()
    assert len(np.unique(ranked[0][ranked[0] >= 0])) == (ranked[0] >= 0).sum()
    assert system.rank_sentences([], 3).shape == (0, 3)


def test_a_filled_index_is_refused() -> None:
    index = TantivyLexicalIndex()
    SpokenBm25(index, CATALOGUE)
    with pytest.raises(ValueError, match="already holds 25"):
        SpokenBm25(index, CATALOGUE)
