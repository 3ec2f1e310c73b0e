"""Products composed from the vocabulary: a model is a brand's family, sold in forms, materials and colors.

Takes a seed, gives `Product`s. Title, description and attributes are filled from the same facts, so they agree.
Knows nothing of shoppers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from eval.demo_shop import lexicon
from eval.demo_shop.chance import between, generator, happens, pick, shuffled
from eval.demo_shop.lexicon import Brand, Feature, Form, Kind, Material
from tasteline.types import Price, Product

FEWEST, MOST = 12, 17
"""Products of one kind: enough to compare, few enough to look through."""

_RANGE = re.compile(r"^([\d.]+)\.\.([\d.]+)(.*)$")
PLAIN = Material(name="", title="")
"""Stands in where a kind has no say in its material."""


@dataclass(frozen=True, slots=True)
class Family:
    """One model of one brand: what all of its forms and colors share."""

    kind: Kind
    brand: Brand
    model: str
    material: Material
    features: tuple[Feature, ...]
    use: str
    quality: float
    """Mean stars to expect."""
    dearness: float
    """Factor on the kind's price."""
    closing: str
    """Which sentence ends the description: "care", "brand" or "use"."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One form of a family, still without its color."""

    family: Family
    form: Form
    material: Material
    facts: Mapping[str, str]
    features: tuple[Feature, ...]
    price: int


def products(seed: int = 7) -> list[Product]:
    """The whole catalogue, in the order of departments and kinds; the same seed gives the same bytes."""
    return [product for kind in lexicon.kinds().values() for product in _of_kind(kind, generator(seed, kind.id))]


def _of_kind(kind: Kind, rng: np.random.Generator) -> list[Product]:
    wanted = between(rng, FEWEST, MOST)
    unique: dict[str, Product] = {}
    for product in islice(_candidates(kind, rng), 20 * wanted):
        unique.setdefault(product.title, product)
        if len(unique) >= wanted:
            break
    return [replace(product, id=f"{kind.id}-{n:02d}") for n, product in enumerate(unique.values(), 1)]


def _candidates(kind: Kind, rng: np.random.Generator) -> Iterator[Product]:
    """Goes around the families, each time with the next form, so that all of them are on the shelf."""
    families = _families(kind, rng)
    forms = shuffled(rng, kind.forms)
    rounds = 1 if kind.one_form else 3 * len(forms)
    for turn in range(rounds):
        for place, family in enumerate(families):
            variant = _variant(family, forms[(place + turn) % len(forms)], rng)
            if variant is not None:
                yield from _in_colors(variant, rng)


def _families(kind: Kind, rng: np.random.Generator) -> list[Family]:
    makers = shuffled(rng, kind.brands)
    return [
        _family(kind, lexicon.brands()[makers[n % len(makers)]], model, rng)
        for n, model in enumerate(shuffled(rng, kind.models))
    ]


def _family(kind: Kind, brand: Brand, model: str, rng: np.random.Generator) -> Family:
    allowed = [m for m in kind.materials if any(m.suits(form, brand.name, model) for form in kind.forms)]
    return Family(
        kind=kind,
        brand=brand,
        model=model,
        material=pick(rng, allowed) if allowed else PLAIN,
        features=tuple(shuffled(rng, kind.features)),
        use=pick(rng, kind.uses),
        quality=4.3 + brand.quality + float(rng.normal(0, 0.22)) - (0.9 if happens(rng, 0.04) else 0.0),
        dearness=brand.level**0.85 * math.exp(float(rng.normal(0, 0.06))),
        closing=pick(rng, ("use", "care", "brand"), (6, 3, 2)),
    )


def _variant(family: Family, form: Form, rng: np.random.Generator) -> Variant | None:
    """None where the family has no material for the form."""
    material = _material(family, form, rng)
    if material is None:
        return None
    features = _features(family, form, rng)
    facts = _facts(family.kind, form, material, features, rng)
    extra = sum(feature.usd for feature in features)
    usd = (form.usd * material.price * _size_factor(form, facts) + extra) * family.dearness
    return Variant(family, form, material, facts, features, _price_tag(usd, family.brand.level, rng))


def _material(family: Family, form: Form, rng: np.random.Generator) -> Material | None:
    if not family.kind.materials:
        return PLAIN
    allowed = [
        material
        for material in family.kind.materials
        if material.suits(form, family.brand.name, family.model)
        and (not form.only_materials or material.name in form.only_materials)
    ]
    if family.material in allowed and happens(rng, 0.75):
        return family.material
    return pick(rng, allowed) if allowed else None


def _features(family: Family, form: Form, rng: np.random.Generator) -> tuple[Feature, ...]:
    """One or two that say nothing against the form's own facts."""
    suited = [
        feature
        for feature in family.features
        if feature.suits(form, family.brand.name, family.model) and not feature.attributes.keys() & form.attributes
    ]
    return tuple(suited[: 2 if happens(rng, 0.25) else 1])


def _facts(
    kind: Kind, form: Form, material: Material, features: Sequence[Feature], rng: np.random.Generator
) -> dict[str, str]:
    """Attribute values; ranges ("1.7..2.4 kg") and choices ("1.5 L|1.7 L") are settled here, once for all texts."""
    facts: dict[str, str] = dict(kind.defaults)
    if material.name:
        facts["material"] = material.name
    for part in (material, form, *features):
        facts.update({name: _settled(value, rng) for name, value in part.attributes.items()})
    return facts


def _settled(value: str, rng: np.random.Generator) -> str:
    if "|" in value:
        return pick(rng, value.split("|"))
    found = _RANGE.match(value)
    if found is None:
        return value
    low, high, unit = found.groups()
    digits = max(len(number.partition(".")[2]) for number in (low, high))
    step = _step(float(high), unit.strip()) if not digits else 10.0**-digits
    steps = round((float(high) - float(low)) / step)
    return f"{float(low) + step * between(rng, 0, steps):.{digits}f}{unit}"


def _step(high: float, unit: str) -> float:
    """Makers round watts and lumens more than scales round grams."""
    if high < 100:
        return 1.0
    if unit in ("W", "lm"):
        return 50.0 if high >= 400 else 10.0
    return 5.0


def _size_factor(form: Form, facts: Mapping[str, str]) -> float:
    """Where a form comes in several sizes, each step up costs 12 %."""
    for name, value in form.attributes.items():
        if "|" in value and name in ("capacity", "size", "weight"):
            return 1.0 + 0.12 * value.split("|").index(facts[name])
    return 1.0


def _price_tag(usd: float, level: float, rng: np.random.Generator) -> int:
    """Cents with the endings that shops use: dear brands in whole dollars, cheap ones a cent below."""
    if usd >= 800:
        return int(round(usd / 50) * 50 - (0 if level >= 1.3 else 1)) * 100
    if usd >= 100:
        whole = int(round(usd / 10) * 10)
        return whole * 100 - pick(rng, (100, 500) if level >= 1.1 else (100, 1, 5))
    if level >= 1.25:
        return max(round(usd), 5) * 100
    return max(round(usd), 4) * 100 - pick(rng, (1, 5, 1, 10, 50) if usd < 30 else (1, 5, 100))


def _in_colors(variant: Variant, rng: np.random.Generator) -> Iterator[Product]:
    fixed = variant.facts.get("color")
    offered = variant.form.only_colors or variant.family.kind.colors
    if fixed is not None or not offered:
        yield _product(variant, fixed, rng)
        return
    for color in shuffled(rng, offered)[: pick(rng, (1, 2, 3), (5, 4, 1))]:
        yield _product(variant, color, rng)


def _product(variant: Variant, color: str | None, rng: np.random.Generator) -> Product:
    family, form = variant.family, variant.form
    rating, count = _rating(family, rng)
    return Product(
        id="",
        title=_title(variant, color),
        description=_description(variant, rng),
        brand=family.brand.name,
        categories=(family.kind.department, family.kind.shelf, *((form.leaf,) if form.leaf else ())),
        price=Price(variant.price, "USD"),
        rating=rating,
        rating_count=count,
        stock=_stock(rng),
        attributes=_attributes(variant, color, rng),
    )


def _title(variant: Variant, color: str | None) -> str:
    family, material = variant.family, variant.material
    pattern = family.kind.title or "{brand} {model} {form}, {color}"
    shown = material.title if material.title is not None else material.name.title()
    words = {**variant.facts, "brand": family.brand.name, "model": family.model}
    words |= {"material": shown, "color": color or ""}
    words["form"] = variant.form.name.format(**words)
    if "color" in variant.facts:
        words["color"] = ""  # The only color there is: no choice, so the title does not offer it.
    return re.sub(r"\s+", " ", pattern.format(**words)).replace(" ,", ",").strip(" ,")


def _description(variant: Variant, rng: np.random.Generator) -> str:
    """Two to four sentences of facts, then a use, a maker's word or how to care for it."""
    family = variant.family
    parts = [pick(rng, part.says) for part in (variant.form, variant.material, *variant.features) if part.says]
    endings = {"care": variant.material.care, "brand": family.brand.says}
    parts = [*parts[:3], endings.get(family.closing) or family.use]
    return " ".join(part.format(**variant.facts) for part in parts)


def _attributes(variant: Variant, color: str | None, rng: np.random.Generator) -> dict[str, tuple[str, ...]]:
    palette = lexicon.shop().colors
    values: dict[str, tuple[str, ...]] = {name: (value,) for name, value in variant.facts.items()}
    if color is not None:
        values["color"] = (palette.get(color, color),)
    if variant.form.sizes is not None:
        values["size"] = _sizes_left(lexicon.shop().sizes[variant.form.sizes], rng)
    values["model"] = (variant.family.model,)
    return dict(sorted(values.items()))


def _sizes_left(run: tuple[str, ...], rng: np.random.Generator) -> tuple[str, ...]:
    gone = {between(rng, 0, len(run) - 1) for _ in range(between(rng, 0, len(run) // 3))}
    return tuple(size for n, size in enumerate(run) if n not in gone)


def _rating(family: Family, rng: np.random.Generator) -> tuple[float | None, int]:
    """Mean stars and how many gave them; one product in forty is new and has none."""
    if happens(rng, 0.025):
        return None, 0
    stars = min(max(family.quality + float(rng.normal(0, 0.1)), 2.8), 4.9)
    return round(stars, 1), 1 + int(math.exp(rng.normal(math.log(48), 1.3)))


def _stock(rng: np.random.Generator) -> int:
    if happens(rng, 0.05):
        return 0
    if happens(rng, 0.1):
        return between(rng, 1, 4)
    return 5 + int(math.exp(rng.normal(3.4, 0.9)))
