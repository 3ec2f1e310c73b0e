"""A vector index on disk with a manifest that says what it holds, swapped in atomically.

    home/index/current            name of the live snapshot, replaced in one step
    home/index/r42-1a2b3c/        manifest.json, rows.json, the vector index's own file

A snapshot of another model, dimension or store, or a damaged one, is refused with the command that mends it.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from retrieval.live import LiveIndex, fingerprint
from tasteline.errors import SnapshotMismatch
from tasteline.ports import Embedder, VectorIndex

FORMAT = 2
METRIC = "inner_product"
KEPT = 2
"""Snapshots on disk: the live one and the one before."""
WRITING = ".tmp"
ABANDONED_SECONDS = 3_600.0
REMEDY = "tasteline index"


@dataclass(frozen=True, slots=True)
class Manifest:
    format: int
    embedder: str
    dimension: int
    metric: str
    count: int
    """Rows, dead ones included."""
    revision: int
    checksum: str
    created: str


def save_snapshot(live: LiveIndex, embedder: Embedder, home: Path) -> Manifest:
    """Write what `live` holds now and make it the current snapshot."""
    root = home / "index"
    with live.read() as indexes:
        revision = indexes.revision
        folder = root / f"r{revision}-{secrets.token_hex(3)}"
        writing = folder.with_suffix(WRITING)
        writing.mkdir(parents=True)
        catalogue = indexes.catalogue
        alive = catalogue.alive
        products = [catalogue.product(row) if alive[row] else None for row in range(len(catalogue))]
        indexes.vectors.save(writing)
    rows = [(product.id, fingerprint(product)) if product else ("", 0) for product in products]
    (writing / "rows.json").write_text(json.dumps(rows))
    manifest = Manifest(
        format=FORMAT,
        embedder=embedder.name,
        dimension=embedder.dimension,
        metric=METRIC,
        count=len(rows),
        revision=revision,
        checksum=_checksum(writing),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    (writing / "manifest.json").write_text(json.dumps(asdict(manifest), indent=2))
    writing.rename(folder)
    _replace_text(root / "current", folder.name)
    _prune(root, folder.name)
    return manifest


def load_snapshot(live: LiveIndex, vectors: VectorIndex, embedder: Embedder, home: Path) -> Manifest | None:
    """Fill `live` from the current snapshot; None when there is none. Raises SnapshotMismatch."""
    root = home / "index"
    current = root / "current"
    if not current.exists():
        return None
    folder = root / current.read_text().strip()
    manifest = _manifest(folder)
    _check(manifest, folder, embedder)
    rows: list[tuple[str, int]] = [(key, digest) for key, digest in json.loads((folder / "rows.json").read_text())]
    try:
        vectors.load(folder)
    except (OSError, ValueError, RuntimeError) as error:
        message = f"The index in {folder} was not written by the vector index that is configured ({error})."
        raise SnapshotMismatch(" ".join(message.split()), remedy=REMEDY) from error
    if len(vectors) != manifest.count or len(rows) != manifest.count:
        raise SnapshotMismatch(f"The index in {folder} holds {len(vectors)} of {manifest.count} rows.", remedy=REMEDY)
    if not live.restore(rows, vectors, manifest.revision):
        raise SnapshotMismatch(f"The index in {folder} is not of this database.", remedy=REMEDY)
    return manifest


def _manifest(folder: Path) -> Manifest:
    try:
        return Manifest(**json.loads((folder / "manifest.json").read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise SnapshotMismatch(f"The index in {folder} has no readable manifest ({error}).", remedy=REMEDY) from error


def _check(manifest: Manifest, folder: Path, embedder: Embedder) -> None:
    expected = (FORMAT, embedder.name, embedder.dimension, METRIC)
    found = (manifest.format, manifest.embedder, manifest.dimension, manifest.metric)
    if found != expected:
        raise SnapshotMismatch(f"The index was built as {found}, this service needs {expected}.", remedy=REMEDY)
    if _checksum(folder) != manifest.checksum:
        raise SnapshotMismatch(f"The index in {folder} is damaged: its checksum differs.", remedy=REMEDY)


def _checksum(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.name != "manifest.json":
            digest.update(path.name.encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _replace_text(path: Path, text: str) -> None:
    writing = path.with_suffix(".tmp")
    with writing.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    writing.replace(path)


def _prune(root: Path, live_name: str) -> None:
    folders = sorted((f for f in root.iterdir() if f.is_dir()), key=lambda f: f.stat().st_mtime, reverse=True)
    whole = [folder for folder in folders if folder.suffix != WRITING and folder.name != live_name]
    # A young one may be another process at work; an old one was cut off.
    cut_off = [f for f in folders if f.suffix == WRITING and time.time() - f.stat().st_mtime > ABANDONED_SECONDS]
    for folder in (*whole[KEPT - 1 :], *cut_off):
        shutil.rmtree(folder, ignore_errors=True)
