"""The tree of errors: each class answers whose fault it is and whether to try again."""

import re

import pytest

from tasteline import errors
from tasteline.errors import (
    DeadlineExceeded,
    EngineFailed,
    InputError,
    InvalidInput,
    MissingExtra,
    ModelDamaged,
    NotFound,
    Overloaded,
    SetupError,
    SnapshotMismatch,
    TastelineError,
    TooLarge,
    TransientError,
    Unauthorised,
)

FAMILIES: dict[type[TastelineError], set[type[TastelineError]]] = {
    InputError: {InvalidInput, NotFound, TooLarge, Unauthorised},
    SetupError: {SnapshotMismatch, ModelDamaged, MissingExtra},
    TransientError: {DeadlineExceeded, Overloaded, EngineFailed},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_error_is_of_one_family(family: type[TastelineError]) -> None:
    assert set(family.__subclasses__()) == FAMILIES[family]
    assert issubclass(family, TastelineError)
    for kind in FAMILIES[family]:
        assert [other for other in FAMILIES if issubclass(kind, other)] == [family]


def test_the_drawing_names_every_class() -> None:
    drawn = set(re.findall(r"[├└]── (\w+)", errors.__doc__ or ""))
    assert drawn == {kind.__name__ for family, kinds in FAMILIES.items() for kind in (family, *kinds)}


def test_what_an_error_carries() -> None:
    assert InvalidInput("too long", field="query").field == "query"
    assert InvalidInput("too long").field is None
    stale = SnapshotMismatch("The index is stale.", remedy="tasteline index")
    assert (str(stale), stale.remedy) == ("The index is stale. Run: tasteline index", "tasteline index")
    assert Overloaded("busy").retry_after == 1.0
    assert EngineFailed("down", retry_after=5).retry_after == 5


def test_exit_codes_and_statuses_follow_the_families() -> None:
    from app.problems import of_error
    from tasteline.cli import EXIT_CODES

    assert dict(EXIT_CODES) == {InputError: 2, SetupError: 3, TransientError: 4}
    made = {
        kind: kind("x", remedy="y") if issubclass(kind, SetupError) else kind("x")
        for k in FAMILIES.values()
        for kind in k
    }
    statuses = {kind: of_error(error).status_code for kind, error in made.items()}
    assert all(400 <= statuses[kind] < 500 for kind in FAMILIES[InputError])
    assert all(statuses[kind] == 503 for kind in FAMILIES[SetupError])
    for kind in FAMILIES[TransientError]:
        assert statuses[kind] in (429, 503)
        assert int(of_error(made[kind]).headers["retry-after"]) >= 1
