"""Snapshots: what is loaded answers as what was saved, and nothing else is ever loaded."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from retrieval.adapters.embedder_hashing import HashingEmbedder
from retrieval.adapters.store_sql import SqlStore
from retrieval.adapters.vectors_faiss import FaissVectorIndex
from retrieval.adapters.vectors_numpy import NumpyVectorIndex
from retrieval.live import LiveIndex
from retrieval.snapshot import ABANDONED_SECONDS, KEPT, Manifest, load_snapshot, save_snapshot
from tasteline.errors import SnapshotMismatch
from tests.unit.retrieval.small_shop import DIMENSION, new_live, product
from tests.unit.retrieval.test_live import answers, disagreement

EMBEDDER = HashingEmbedder(DIMENSION)
PRODUCTS = [product("a", "tent"), product("b", "kettle"), product("c", "stove lamp")]


class Counting(HashingEmbedder):
    """Says how many texts were embedded."""

    encoded = 0

    def encode(self, texts, kind):  # type: ignore[no-untyped-def]
        self.encoded += len(texts)
        return super().encode(texts, kind)


@pytest.fixture
def store() -> SqlStore:
    made = SqlStore("sqlite://")
    made.put_products(PRODUCTS)
    return made


def saved(store: SqlStore, home: Path) -> LiveIndex:
    live = new_live(store)
    live.sync()
    save_snapshot(live, EMBEDDER, home)
    return live


def loaded(store: SqlStore, home: Path, embedder: HashingEmbedder = EMBEDDER) -> tuple[LiveIndex, Manifest | None]:
    live = new_live(store)
    return live, load_snapshot(live, NumpyVectorIndex(DIMENSION), embedder, home)


def snapshots(home: Path) -> list[str]:
    return sorted(folder.name for folder in (home / "index").iterdir() if folder.is_dir())


def current(home: Path) -> Path:
    return home / "index" / (home / "index" / "current").read_text()


def test_loaded_answers_as_saved_and_embeds_nothing(store: SqlStore, tmp_path: Path) -> None:
    store.put_products([product("b", "copper kettle")])
    store.delete_products(["c"])
    before = saved(store, tmp_path)
    live, manifest = loaded(store, tmp_path)
    assert manifest is not None
    assert (manifest.revision, manifest.embedder) == (store.revision(), EMBEDDER.name)
    assert (live.behind, live.sync()) == (False, 0)
    assert answers(live) == answers(before)
    assert disagreement(live.present) == ""


def test_none_yet(store: SqlStore, tmp_path: Path) -> None:
    assert loaded(store, tmp_path)[1] is None


def test_an_empty_catalogue(tmp_path: Path) -> None:
    store = SqlStore("sqlite://")
    saved(store, tmp_path)
    live, manifest = loaded(store, tmp_path)
    assert manifest is not None
    assert manifest.count == 0
    store.put_products(PRODUCTS)
    assert live.sync() == 3


def test_what_came_after_is_caught_up_and_only_that(store: SqlStore, tmp_path: Path) -> None:
    saved(store, tmp_path)
    store.put_products([product("a", "lamp"), product("d", "tent")])
    store.delete_products(["b"])
    counting = Counting(DIMENSION)
    live = LiveIndex(store, counting, NumpyVectorIndex, new_live(store)._new_lexical)
    assert load_snapshot(live, NumpyVectorIndex(DIMENSION), counting, tmp_path) is not None
    assert live.sync() == 3
    assert counting.encoded == 2
    fresh = new_live(store)
    fresh.sync()
    assert answers(live) == answers(fresh)
    assert answers(live)["all"] == ["a", "c", "d"]


def test_what_was_deleted_before_a_restart_stays_gone(store: SqlStore, tmp_path: Path) -> None:
    saved(store, tmp_path)
    store.delete_products(["a", "b", "c"])
    live, _ = loaded(store, tmp_path)
    assert answers(live)["all"] == []
    live.sync()
    assert answers(live)["all"] == []


def test_a_half_written_folder_is_passed_over(store: SqlStore, tmp_path: Path) -> None:
    before = saved(store, tmp_path)
    half = tmp_path / "index" / "r9-cutoff.tmp"
    half.mkdir()
    (half / "vectors.npy").write_bytes(b"half")
    live, manifest = loaded(store, tmp_path)
    assert manifest is not None
    assert answers(live) == answers(before)


def test_a_crash_before_the_swap_leaves_the_old_one(
    store: SqlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved(store, tmp_path)
    old = answers(before)
    live_folder = current(tmp_path)
    store.put_products([product("d", "tent")])

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("retrieval.snapshot._replace_text", crash)
        with pytest.raises(KeyboardInterrupt):
            saved(store, tmp_path)
    assert current(tmp_path) == live_folder
    live, _ = loaded(store, tmp_path)
    assert answers(live) == old
    assert live.sync() == 1


def test_the_live_one_and_the_one_before_are_kept(store: SqlStore, tmp_path: Path) -> None:
    live = new_live(store)
    live.sync()
    manifests = []
    for _ in range(4):
        manifests.append(save_snapshot(live, EMBEDDER, tmp_path))
        os.utime(current(tmp_path), (time.time(), time.time() + len(manifests)))
    assert len(snapshots(tmp_path)) == KEPT
    assert current(tmp_path).name in snapshots(tmp_path)


def test_only_what_was_abandoned_long_ago_is_swept_away(store: SqlStore, tmp_path: Path) -> None:
    saved(store, tmp_path)
    young, old = tmp_path / "index" / "r1-young.tmp", tmp_path / "index" / "r1-old.tmp"
    young.mkdir()
    old.mkdir()
    long_ago = time.time() - ABANDONED_SECONDS - 1
    os.utime(old, (long_ago, long_ago))
    saved(store, tmp_path)
    assert young.name in snapshots(tmp_path)
    assert old.name not in snapshots(tmp_path)
    assert len(snapshots(tmp_path)) == KEPT + 1


def damage(name: str) -> Callable[[Path], None]:
    def flip(folder: Path) -> None:
        path = folder / name
        content = bytearray(path.read_bytes())
        content[-3] ^= 0xFF
        path.write_bytes(bytes(content))

    return flip


def change_manifest(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "manifest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


REFUSED: dict[str, Callable[[Path], object]] = {
    "vectors damaged": damage("vectors.npy"),
    "rows damaged": damage("rows.json"),
    "file missing": lambda folder: (folder / "vectors.npy").unlink(),
    "file added": lambda folder: (folder / "more").touch(),
    "no manifest": lambda folder: (folder / "manifest.json").unlink(),
    "manifest cut off": lambda folder: (folder / "manifest.json").write_text("{"),
    "manifest of another kind": lambda folder: (folder / "manifest.json").write_text("[]"),
    "another format": change_manifest(format=0),
    "another metric": change_manifest(metric="l2"),
    "another model": change_manifest(embedder="minilm"),
    "another dimension": change_manifest(dimension=DIMENSION + 1),
    "another count": change_manifest(count=7),
    "from the future": change_manifest(revision=1_000),
    "folder gone": lambda folder: folder.rename(folder.with_name("elsewhere")),
    "nothing named": lambda folder: (folder.parent / "current").write_text(""),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_right_is_refused_with_the_remedy(store: SqlStore, tmp_path: Path, what: str) -> None:
    saved(store, tmp_path)
    REFUSED[what](current(tmp_path))
    live = new_live(store)
    with pytest.raises(SnapshotMismatch, match="Run: tasteline index") as refused:
        load_snapshot(live, NumpyVectorIndex(DIMENSION), EMBEDDER, tmp_path)
    assert "\n" not in str(refused.value)
    assert (live.revision, len(live.present.catalogue)) == (0, 0)


def test_another_embedder_is_refused(store: SqlStore, tmp_path: Path) -> None:
    saved(store, tmp_path)
    with pytest.raises(SnapshotMismatch, match="hashing/256"):
        loaded(store, tmp_path, HashingEmbedder(DIMENSION * 2))


def test_another_vector_index_is_refused(store: SqlStore, tmp_path: Path) -> None:
    saved(store, tmp_path)
    with pytest.raises(SnapshotMismatch, match="vector index"):
        load_snapshot(new_live(store), FaissVectorIndex(DIMENSION), EMBEDDER, tmp_path)


@pytest.mark.parametrize(
    "others",
    [
        [product("x", "tent"), product("y", "kettle"), product("z", "stove")],
        [product("a", "tent"), product("b", "another kettle"), product("c", "stove lamp")],
        [product("a", "tent")],
    ],
    ids=["other ids", "same ids, other products", "fewer"],
)
def test_another_database_is_refused(store: SqlStore, tmp_path: Path, others: list[object]) -> None:
    saved(store, tmp_path)
    other = SqlStore("sqlite://")
    other.put_products(others)  # type: ignore[arg-type]
    with pytest.raises(SnapshotMismatch, match="not of this database"):
        loaded(other, tmp_path)
