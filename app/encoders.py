"""The encoders of a shop: the published one of the settings and those that were trained for it, behind one cache.

Takes settings; gives an `Embedder` for the live entry of the registry, for any other, or for a name that a snapshot or
a ranker remembers. What nobody holds any more is forgotten with its memory; its vectors stay in the cache on disk.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from weakref import WeakValueDictionary

import structlog

from app.engines import encoder_in, published_encoder
from retrieval.embedding import CachedEmbedder, EmbeddingCache
from retrieval.registry import Entry, Registry
from tasteline.errors import InvalidInput, TastelineError
from tasteline.ports import Embedder
from tasteline.settings import Settings

MERGED = "merged"
"""In an entry's folder: the model that needs no adapter beside it."""
_PUBLISHED = ""

log = structlog.get_logger(__name__)


class Encoders:
    """Each is opened once for all who hold it; thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._cache = EmbeddingCache(settings.home / "embeddings.db")
        self._registry = Registry(settings.home)
        self._open: WeakValueDictionary[str, CachedEmbedder] = WeakValueDictionary()
        self._opening = threading.Lock()

    def published(self) -> Embedder:
        """The one that is configured."""
        return self._once(_PUBLISHED, lambda: published_encoder(self._settings))

    def of(self, entry: Entry) -> Embedder:
        """A trained one. Raises InvalidInput where the configured engine runs none."""
        if self._settings.embedder == "hashing":
            raise InvalidInput("the hashing embedder runs no trained encoder; set TASTELINE_EMBEDDER=openvino")
        return self._once(entry.id, lambda: encoder_in(str(entry.folder / MERGED), self._settings))

    def live(self) -> Embedder:
        """What the registry says is live, its files checked; else the published one. Raises ModelDamaged."""
        entry = None if self._settings.embedder == "hashing" else self._registry.live("encoder")
        if entry is None:
            return self.published()
        self._registry.verify(entry)
        return self.of(entry)

    def named(self, name: str) -> Embedder | None:
        """The one of this name; None where it is neither the published one nor a registered one."""
        for entry in self._registry.entries("encoder"):
            if entry.id in name and self._settings.embedder != "hashing":
                found = self.of(entry)
                return found if found.name == name else None
        published = self.published()
        return published if published.name == name else None

    def to_start_with(self) -> Embedder:
        """The one that made the index on disk, so that a start need not embed anew; else the live one, if it opens."""
        for choose in (self._of_snapshot, self.live):
            try:
                if (found := choose()) is not None:
                    return found
            except (TastelineError, OSError) as error:
                log.warning("encoder_not_opened", error=str(error))
        return self.published()

    def _of_snapshot(self) -> Embedder | None:
        name = _embedder_of_snapshot(self._settings.home / "index")
        return self.named(name) if name is not None else None

    def _once(self, key: str, make: Callable[[], Embedder]) -> Embedder:
        with self._opening:
            found = self._open.get(key)
            if found is None:
                found = self._open[key] = CachedEmbedder(make(), self._cache)
            return found


def _embedder_of_snapshot(root: Path) -> str | None:
    try:
        manifest = json.loads((root / (root / "current").read_text().strip() / "manifest.json").read_text())
        return str(manifest["embedder"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
