"""What every Reranker promises, and what the others promise about the reference beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from tasteline.errors import DeadlineExceeded, EngineFailed, Overloaded, SetupError
from tasteline.ports import Reranker
from tests.contracts.rerankers import ScoringServer, scoring_server, tiny_cross_encoder

pytestmark = [
    # PyTorch and transformers deprecate their own internals; that is theirs to mend.
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.timeout(400),  # one conversion, in a process that loads PyTorch
]

NOUNS = ["running shoes for men", "toner cartridge", "USB-C charger", "wooden puzzle", "Gartenschlauch 20 m"]
ENDINGS = ["", "A gift that lasts. It holds one litre and weighs 340 g, so it travels well. " * 9]
PAIRS = [(f"{noun}?", f"red {other}. {ending}") for noun in NOUNS for other in NOUNS for ending in ENDINGS]
QUERIES, DOCUMENTS = [query for query, _ in PAIRS], [document for _, document in PAIRS]
ADAPTERS = ["sentence-transformers", "openvino", "server"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_cross_encoder(tmp_path_factory.mktemp("reranker") / "merged")


@pytest.fixture(scope="module")
def make(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Reranker]]:
    from retrieval.adapters.reranker_openvino import OpenVinoReranker
    from retrieval.adapters.reranker_sentence_transformers import SentenceTransformersReranker
    from retrieval.adapters.reranker_server import ServerReranker

    reference = SentenceTransformersReranker(str(folder))
    made: dict[str, Reranker] = {"sentence-transformers": reference}
    with ExitStack() as stack:

        def once(name: str) -> Reranker:
            if name not in made and name == "openvino":
                made[name] = OpenVinoReranker(str(folder), tmp_path_factory.mktemp("cache"))
            if name not in made:
                server = stack.enter_context(scoring_server(lambda q, d: reference.score(q, d).tolist()))
                made[name] = ServerReranker(server.url, "shop")
                stack.callback(made[name].close)  # type: ignore[attr-defined]
            return made[name]

        yield once


@pytest.fixture(params=ADAPTERS)
def reranker(request: pytest.FixtureRequest, make: Callable[[str], Reranker]) -> Reranker:
    return make(request.param)


def test_one_number_a_pair_that_depends_on_both_texts(reranker: Reranker) -> None:
    scores = reranker.score(QUERIES, DOCUMENTS)
    assert scores.shape == (len(PAIRS),)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    one_query, one_document = scores.reshape(5, 5, 2)[0, :, 0], scores.reshape(5, 5, 2)[:, 0, 0]
    assert one_query.std() > 0.01
    assert one_document.std() > 0.01


def test_a_pair_is_scored_alike_alone_and_in_company(reranker: Reranker) -> None:
    together = reranker.score(QUERIES, DOCUMENTS)
    backwards = reranker.score(QUERIES[::-1], DOCUMENTS[::-1])[::-1]
    np.testing.assert_allclose(together, backwards, atol=0.05)
    alone = [reranker.score([QUERIES[i]], [DOCUMENTS[i]])[0] for i in range(4)]
    np.testing.assert_allclose(together[:4], alone, atol=0.05)


def test_nothing_and_odd_texts_are_taken(reranker: Reranker) -> None:
    assert reranker.score([], []).shape == (0,)
    odd = ["", "kettle \ud800", "水壶 🫖", "a\x00b", "x" * 20_000]
    assert np.isfinite(reranker.score(odd, odd[::-1])).all()
    with pytest.raises(ValueError, match=r"zip\(\)"):
        reranker.score(["kettle"], ["a", "b"])


def test_threads_get_their_own_answers(reranker: Reranker) -> None:
    expected = reranker.score(QUERIES, DOCUMENTS)

    def ask(row: int) -> float:
        scores = reranker.score(QUERIES[row : row + 8], DOCUMENTS[row : row + 8])
        return float(np.abs(scores - expected[row : row + 8]).max())

    with ThreadPoolExecutor(4) as pool:
        assert max(pool.map(ask, range(16))) < 0.05


def test_it_gives_up_when_there_is_no_time(reranker: Reranker) -> None:
    with pytest.raises(DeadlineExceeded):
        reranker.score(QUERIES * 20, DOCUMENTS * 20, timeout=0.001)


def test_the_name_says_the_model(reranker: Reranker) -> None:
    assert "/" in reranker.name
    assert reranker.name == reranker.name


@pytest.mark.parametrize("name", ["openvino", "server"])
def test_they_agree_with_the_reference(name: str, make: Callable[[str], Reranker]) -> None:
    ours, reference = (make(one).score(QUERIES, DOCUMENTS) for one in (name, "sentence-transformers"))
    np.testing.assert_allclose(ours, reference, atol=0.05)
    assert np.corrcoef(ours, reference)[0, 1] > 0.999
    assert (reference > 1).any() or (reference < 0).any(), "logits, no probabilities"


@pytest.mark.slow
def test_a_classifier_of_several_labels_is_refused(tmp_path: Path) -> None:
    from retrieval.adapters.reranker_openvino import OpenVinoReranker
    from retrieval.adapters.reranker_sentence_transformers import SentenceTransformersReranker

    three = str(tiny_cross_encoder(tmp_path / "three", labels=3))
    with pytest.raises(SetupError, match="3 labels"):
        SentenceTransformersReranker(three)
    with pytest.raises(SetupError, match="one label, this model has 3"):
        OpenVinoReranker(three, tmp_path / "cache")


@pytest.fixture
def server() -> Iterator[ScoringServer]:
    with scoring_server(lambda queries, documents: [float(len(text)) for text in documents]) as made:
        yield made


def test_the_server_is_asked_for_logits_of_pairs(server: ScoringServer) -> None:
    from retrieval.adapters.reranker_server import ServerReranker

    reranker = ServerReranker(server.url, "20261128-1", "secret")
    assert reranker.score(["a", "a"], ["bb", "dddd"]).tolist() == [2, 4]
    asked = server.asked[0]
    assert (asked["path"], asked["model"]) == ("/v1/score", "20261128-1")
    assert (asked["text_1"], asked["text_2"]) == (["a", "a"], ["bb", "dddd"])
    assert (asked["use_activation"], asked["truncate_prompt_tokens"]) == (False, -1)
    assert server.keys == ["Bearer secret"]
    reranker.close()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((429, b""), Overloaded),
        ((500, b"oops"), EngineFailed),
        ((200, b"no json"), EngineFailed),
        ((200, b'{"data": []}'), EngineFailed),
        ((200, b'{"data": [{"index": 0, "score": "high"}]}'), EngineFailed),
        ((200, b'{"data": [{"index": 1, "score": 0.5}]}'), EngineFailed),
        ((200, b'{"data": [{"index": 0, "score": NaN}]}'), EngineFailed),
        ((200, b'{"data": [{"index": 0, "score": 0.5}, {"index": 0, "score": 0.5}]}'), EngineFailed),
    ],
)
def test_a_server_that_errs_is_an_error_of_the_tree(
    server: ScoringServer, answer: tuple[int, bytes], error: type[Exception]
) -> None:
    from retrieval.adapters.reranker_server import ServerReranker

    server.answer = answer
    reranker = ServerReranker(server.url, "shop")
    with pytest.raises(error):
        reranker.score(["a"], ["b"])
    reranker.close()


def test_a_server_that_trickles_or_is_gone(server: ScoringServer) -> None:
    from retrieval.adapters.reranker_server import ServerReranker

    server.delay = 0.05
    reranker = ServerReranker(server.url, "shop")
    with pytest.raises(DeadlineExceeded, match=r"within 0\.2 s"):
        reranker.score(["a"], ["b"], timeout=0.2)
    reranker.close()
    gone = ServerReranker("http://127.0.0.1:9/v1", "shop")
    with pytest.raises(EngineFailed, match="does not answer"):
        gone.score(["a"], ["b"])
    gone.close()
