"""The hand-written words of the demo shop, read from the TOML files beside this module and checked.

Gives `Kind` (one shelf of the shop: its forms, materials, features, uses), `Brand`, and the tables that hold for
the whole shop. Knows nothing of how products or shoppers are put together from them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

FOLDER = Path(__file__).parent / "vocabulary"

ATTRIBUTES = frozenset(
    {"age", "battery", "brightness", "capacity", "color", "gender", "material", "pages", "pieces", "players", "power"}
    | {"power_source", "size", "skin_type", "temperature", "thickness", "time", "waterproof", "weight", "wireless"}
)
"""Every attribute name that a form, material or feature may set; a misspelt key is an error, not an attribute."""

Lines = Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]


class Part(BaseModel):
    """A form, material or feature: a sentence, facts, and what it goes with. Other keys are attributes."""

    model_config = ConfigDict(frozen=True, extra="allow")

    says: Lines = ()
    """Sentences to choose from, with `{attribute}` where a fact is named."""
    only_forms: tuple[str, ...] = ()
    except_forms: tuple[str, ...] = ()
    """Parts of form names; so too below for materials, brands, models and colors, in full."""
    only_materials: tuple[str, ...] = ()
    only_brands: tuple[str, ...] = ()
    except_brands: tuple[str, ...] = ()
    only_models: tuple[str, ...] = ()
    only_colors: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _known_attributes(self) -> Part:
        for name, value in self.attributes.items():
            if name not in ATTRIBUTES or not isinstance(value, str):
                raise ValueError(f"{name} = {value!r} is no attribute of this shop: add it to ATTRIBUTES or mend it")
        return self

    @property
    def attributes(self) -> Mapping[str, str]:
        return self.__pydantic_extra__ or {}

    def suits(self, form: Form, brand: str, model: str) -> bool:
        """May this part be combined with that form, brand and model?"""
        return (
            (not self.only_forms or any(part in form.name for part in self.only_forms))
            and not any(part in form.name for part in self.except_forms)
            and (not self.only_brands or brand in self.only_brands)
            and brand not in self.except_brands
            and (not self.only_models or model in self.only_models)
        )


class Form(Part):
    """What the thing is, as the title says it, with its price in the middle of the market."""

    name: str
    usd: float = Field(gt=0)
    leaf: str | None = None
    """Third level of the category path."""
    sizes: str | None = None
    """Name of a size run in `shop.toml`."""


class Material(Part):
    name: str
    title: str | None = None
    """As the title says it; empty where the title does not mention it."""
    price: float = 1.0
    care: str = ""


class Feature(Part):
    usd: float = 0.0


class Kind(BaseModel):
    """One shelf: things that people compare with one another."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    department: str
    shelf: str
    brands: tuple[str, ...]
    models: tuple[str, ...]
    searches: tuple[str, ...]
    """What people type when they want one."""
    forms: tuple[Form, ...]
    title: str = ""
    colors: tuple[str, ...] = ()
    materials: tuple[Material, ...] = ()
    features: tuple[Feature, ...] = ()
    uses: tuple[str, ...] = ()
    defaults: Mapping[str, str] = Field(default_factory=dict)
    consumable: bool = False
    """Is it bought again and again?"""
    one_form: bool = False
    """Does a model name belong to one form only (a board game's title, a tea's name)?"""


class Brand(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    level: float
    quality: float
    says: str


class Shop(BaseModel):
    """The tables of `shop.toml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    colors: Mapping[str, str]
    sizes: Mapping[str, tuple[str, ...]]
    complements: Mapping[str, tuple[str, ...]]


def read(name: str) -> dict[str, object]:
    with (FOLDER / name).open("rb") as file:
        return tomllib.load(file)


@cache
def shop() -> Shop:
    return Shop.model_validate(read("shop.toml"))


@cache
def brands() -> Mapping[str, Brand]:
    return {name: Brand.model_validate({"name": name, **_table(facts)}) for name, facts in read("brands.toml").items()}


@cache
def kinds() -> Mapping[str, Kind]:
    """All kinds by id, in the order of the departments' file names."""
    found = [kind for path in sorted((FOLDER / "departments").glob("*.toml")) for kind in _department(path)]
    return {kind.id: kind for kind in found}


def _department(path: Path) -> list[Kind]:
    with path.open("rb") as file:
        table = tomllib.load(file)
    common = {"department": table["department"], "brands": table["brands"]}
    return [Kind.model_validate(common | kind) for kind in table["kind"]]


def _table(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise TypeError(f"expected a table in the vocabulary, found {value!r}")
    return value
