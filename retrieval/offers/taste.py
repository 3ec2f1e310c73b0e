"""How people stand to groups of products on one day: what a response to an offer for a group is forecast from.

Takes purchases (person, product, day) and groups (group, product), gives a row of FEATURES for each pair that is asked
about; nothing on or after the day goes in. The same function makes the rows to learn from, where a group is what a
coupon may be spent on, and those to ask about, where it is a topic of the shop. Needs no price and no coupon.
"""

from __future__ import annotations

import polars as pl

MONTH, QUARTER, HALF_YEAR = 30, 90, 180
NEVER = 400
"""Days, for what has not happened: longer than the year that is looked at."""
PERSONAL = ("visits_month", "visits_quarter", "visits", "days_since_visit", "products")
FITTING = ("group_visits_month", "group_visits_quarter", "group_visits", "days_since_group", "group_products")
SHARES = ("group_share", "group_reach")
"""Of the person's purchases within half a year, and of all people within a quarter."""
FEATURES = (*PERSONAL, *FITTING, *SHARES)


def reach_of(lines: pl.DataFrame, groups: pl.DataFrame, day: int) -> pl.DataFrame:
    """group, group_reach. `lines` are those of all people: one person's own would reach everybody they know of."""
    before = lines.filter(pl.col("day") < day).select("person", "product", "day")
    people = max(1, before["person"].n_unique())
    recent = before.lazy().filter(pl.col("day") >= day - QUARTER).join(groups.lazy(), on="product")
    return recent.group_by("group").agg(group_reach=pl.col("person").n_unique() / people).collect()


def features(
    pairs: pl.DataFrame, lines: pl.DataFrame, groups: pl.DataFrame, day: int, reach: pl.DataFrame | None = None
) -> pl.DataFrame:
    """`pairs` (person, group) with FEATURES, in order; counts and days as log(1 + n).

    `reach`: of the groups among all people, where `lines` are not everybody's.
    """
    before = lines.filter(pl.col("day") < day).select("person", "product", "day")
    inside = before.lazy().join(groups.lazy(), on="product").collect()
    reach = reach_of(lines, groups, day) if reach is None else reach
    asked = before.join(pairs.select("person").unique(), on="person", how="semi")
    own = inside.join(pairs.select("person").unique(), on="person", how="semi")
    recent = asked.filter(pl.col("day") >= day - HALF_YEAR).group_by("person").agg(lines=pl.len())
    found = (
        pairs.join(_counts(asked, ["person"], "", day), on="person", how="left", maintain_order="left")
        .join(
            _counts(own, ["person", "group"], "group_", day), on=["person", "group"], how="left", maintain_order="left"
        )
        .join(recent, on="person", how="left", maintain_order="left")
        .join(reach, on="group", how="left", maintain_order="left")
    )
    share = pl.col("group_lines") / pl.max_horizontal(pl.col("lines"), 1)
    return found.with_columns(group_share=share).select(pairs.columns + [_value(name) for name in FEATURES])


def _counts(lines: pl.DataFrame, keys: list[str], prefix: str, day: int) -> pl.DataFrame:
    def visits(days: int) -> pl.Expr:
        return pl.col("day").filter(pl.col("day") >= day - days).n_unique()

    since = "days_since_group" if prefix else "days_since_visit"
    counted = lines.group_by(keys).agg(
        visits(MONTH).alias(f"{prefix}visits_month"),
        visits(QUARTER).alias(f"{prefix}visits_quarter"),
        visits(NEVER).alias(f"{prefix}visits"),
        (day - pl.col("day").max()).alias(since),
        pl.col("product").filter(pl.col("day") >= day - HALF_YEAR).n_unique().alias(f"{prefix}products"),
        (pl.col("day") >= day - HALF_YEAR).sum().alias(f"{prefix}lines"),
    )
    return counted if prefix else counted.drop("lines")


def _value(name: str) -> pl.Expr:
    absent = NEVER if name.startswith("days_since") else 0
    value = pl.col(name).cast(pl.Float64).fill_null(absent)
    return value if name in SHARES else value.log1p()
