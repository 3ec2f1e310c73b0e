"""`tasteline eval next-item --protocol session`: the next product and the next category within one visit.

Takes a folder and what the command line says, gives two results out of one fit: "" for products, "category" for
categories (where the set names any). The systems are those of `eval.recommending`.
"""

from __future__ import annotations

from collections.abc import Callable

from eval import next_category, next_item
from eval.data.loading import load
from eval.protocols.checks import check_split
from eval.protocols.session import by_session
from eval.recommending import Asked, Bench, audited, described, learning_of, opened, split_of, systems_of
from eval.served import Progress
from tasteline.settings import Settings


def run_in_session(
    asked: Asked, settings: Settings, told: Callable[[str], None], progress: Progress | None = None
) -> dict[str, dict[str, object]]:
    """Fit on sessions that are over, ask within later ones; the test part is looked at once for both results."""
    visits = by_session(load(asked.data))
    split = split_of(visits, "session")
    check_split(split, visits)
    with systems_of(asked, Bench(settings, visits, progress)) as (systems, notes):
        audits = audited(asked, visits, settings, progress, told) if asked.audit else {}
        learning = learning_of(visits, split, settings, asked.seed)
        whole, looks = opened(visits, split, asked, settings)
        cases = whole.test if asked.part == "test" else whole.valid
        products = next_item.evaluate(
            visits,
            whole,
            systems,
            learning,
            cases=cases,
            told=told,
            left_out=notes,
            strict=bool(asked.systems),
        )
        results = {"": described(products, whole, asked, looks, notes, audits)}
        if any(visits.catalogue.paths):
            fitted = [system for system in systems if system.name not in notes]
            kinds = next_category.evaluate(visits, whole, fitted, learning, cases)
            results["category"] = described(kinds, whole, asked, looks, {}, {})
    return results
