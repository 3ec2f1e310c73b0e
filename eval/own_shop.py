"""The shop of this home, brought up to date and opened for a training: what an offline job starts from.

Takes settings and, where wanted, a folder to import; gives a running shop that speaks by templates. Knows no model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from app.bootstrap import open_shop
from app.engines import open_store
from app.indexing import build_index
from app.shop import Shop
from eval.served import Progress
from retrieval.importing.run import import_paths
from tasteline.errors import InvalidInput
from tasteline.settings import Settings

Told = Callable[[str], None]


def brought_up_to_date(
    settings: Settings, data: Path | None, currency: str | None, told: Told, progress: Progress | None = None
) -> None:
    """Import `data`, if any, and embed what changed. Raises InvalidInput for a shop without products."""
    with closing(open_store(settings)) as store:
        if data is not None:
            told(f"import of {data}")
            rejects = settings.home / "rejects.jsonl"
            import_paths([data], store, rejects_file=rejects, currency=currency)
        if all(change.product is None for change in store.changes(0)):
            raise InvalidInput(
                f"the shop in {settings.home} has no products; put them in with `tasteline import`, or set "
                "TASTELINE_HOME to the folder of one that has (that of `make demo` is var/demo)"
            )
    told("index")
    build_index(settings, progress)


@contextmanager
def own_shop(settings: Settings) -> Iterator[Shop]:
    """As it is served, without a language model."""
    with closing(open_shop(settings.model_copy(update={"language_model": "none"}))) as shop:
        yield shop


def erasures(settings: Settings) -> int:
    """How many people have been erased: where it moves while something learns, it may have learned from one of them."""
    with closing(open_store(settings)) as store:
        return store.erasures()


def revision(settings: Settings) -> int:
    """Of the catalogue; it grows with every change."""
    with closing(open_store(settings)) as store:
        return store.revision()
