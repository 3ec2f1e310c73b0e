"""What is known of somebody on the day a coupon campaign begins: one row of figures for each recipient, or for each
recipient and coupon.

Takes a log of purchases, campaigns and redemptions, gives frames of features; only what lies before the campaign's
first day goes in. Knows no model, and of what was redeemed in the campaign only what `redeemed` gives as the answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

MONTH, QUARTER, HALF_YEAR = 30, 90, 180
NEVER = 400
"""Days, for what has not happened yet: longer than the year that such logs cover."""


@dataclass(frozen=True, slots=True)
class CouponLog:
    """Days are whole numbers since 1970, people are strings, everything else is as the shop numbers it."""

    lines: pl.DataFrame
    """person, product, category, day, spent, coupon (was one redeemed), reduced: a row for each thing bought."""
    campaigns: pl.DataFrame
    """campaign, kind, start, end (first and last day), by start."""
    recipients: pl.DataFrame
    """campaign, person."""
    coupons: pl.DataFrame
    """campaign, coupon, product: what each coupon may be spent on."""
    redemptions: pl.DataFrame
    """campaign, person, coupon, day."""
    people: pl.DataFrame
    """person, age, income, kids: as far as somebody told."""


@dataclass(frozen=True, slots=True)
class Campaign:
    id: int
    kind: str
    start: int
    end: int


HABITS = ("visits_month", "visits_quarter", "visits", "spent_quarter", "days_since_visit", "reduced_share")
"""Of the person: days with a purchase, what they spent, how long ago the last was, share of lines at a lower price."""
COUPON_USE = (
    "coupon_lines",
    "redemptions",
    "campaigns_redeemed",
    "campaigns_received",
    "redeemed_rate",
    "since_redeemed",
)
"""Of the person: how they took to coupons and campaigns before."""
FIT = ("group_visits", "group_share", "group_coupons", "days_since_group")
"""Of the person and the campaign: how much of what it offers they buy anyway."""
SHAPE = ("coupons", "recipients", "days", "kind_a", "kind_b")
"""Of the campaign."""
PEOPLE = ("age", "income", "kids", "told")
RECIPIENT_FEATURES = (*HABITS, *COUPON_USE, *FIT, *SHAPE, *PEOPLE)
LOGARITHMIC = frozenset(
    {"visits_month", "visits_quarter", "visits", "spent_quarter", "days_since_visit", "coupon_lines", "redemptions"}
    | {"campaigns_redeemed", "campaigns_received", "since_redeemed", "group_visits", "group_coupons"}
    | {"days_since_group", "coupons", "recipients"}
)
"""Counts, sums and days: their effect is one of proportion."""
RATE_PRIOR = 0.5
"""Campaigns of which a tenth was redeemed, added to what somebody has received: one campaign is not yet a habit."""


def campaigns_of(log: CouponLog) -> list[Campaign]:
    return [Campaign(*row) for row in log.campaigns.select("campaign", "kind", "start", "end").iter_rows()]


def recipients_of(log: CouponLog, campaign: Campaign) -> pl.DataFrame:
    """campaign, person and RECIPIENT_FEATURES of each recipient, by person."""
    who = log.recipients.filter(pl.col("campaign") == campaign.id).select("person")
    before = log.lines.join(who, on="person", how="semi").filter(pl.col("day") < campaign.start)
    parts = [
        _habits(before, campaign.start),
        _coupon_use(log, before, campaign.start),
        _fit(log, before, campaign),
        log.people.with_columns(told=pl.lit(1.0)),
    ]
    for part in parts:
        who = who.join(part, on="person", how="left", maintain_order="left")
    days = [name for name in RECIPIENT_FEATURES if name in ("days_since_visit", "since_redeemed", "days_since_group")]
    return (
        who.with_columns(
            pl.col(days).fill_null(NEVER),
            campaign=pl.lit(campaign.id),
            coupons=pl.lit(log.coupons.filter(pl.col("campaign") == campaign.id)["coupon"].n_unique()),
            recipients=pl.lit(len(who)),
            days=pl.lit(campaign.end - campaign.start + 1),
            kind_a=pl.lit(campaign.kind == "Type A"),
            kind_b=pl.lit(campaign.kind == "Type B"),
        )
        .select("campaign", "person", *(_number(name) for name in RECIPIENT_FEATURES))
        .sort("person")
    )


def _number(name: str) -> pl.Expr:
    value = pl.col(name).cast(pl.Float64).fill_null(0.0)
    return value.log1p().alias(name) if name in LOGARITHMIC else value


def _habits(before: pl.DataFrame, start: int) -> pl.DataFrame:
    def visits(days: int | None) -> pl.Expr:
        recent = pl.col("day") if days is None else pl.col("day").filter(pl.col("day") >= start - days)
        return recent.n_unique()

    return before.group_by("person").agg(
        visits_month=visits(MONTH),
        visits_quarter=visits(QUARTER),
        visits=visits(None),
        spent_quarter=pl.col("spent").filter(pl.col("day") >= start - QUARTER).sum(),
        days_since_visit=start - pl.col("day").max(),
        reduced_share=pl.col("reduced").mean(),
        coupon_lines=pl.col("coupon").sum(),
    )


def _coupon_use(log: CouponLog, before: pl.DataFrame, start: int) -> pl.DataFrame:
    """What was received and redeemed before `start`; a campaign counts as received from its first day on."""
    earlier = log.campaigns.filter(pl.col("start") < start).select("campaign")
    received = (
        log.recipients.join(earlier, on="campaign", how="semi").group_by("person").agg(campaigns_received=pl.len())
    )
    redeemed = (
        log.redemptions.filter(pl.col("day") < start)
        .group_by("person")
        .agg(
            redemptions=pl.len(),
            campaigns_redeemed=pl.col("campaign").n_unique(),
            since_redeemed=start - pl.col("day").max(),
        )
    )
    both = received.join(redeemed, on="person", how="full", coalesce=True).with_columns(
        pl.col("campaigns_received", "redemptions", "campaigns_redeemed").fill_null(0)
    )
    share = (pl.col("campaigns_redeemed") + RATE_PRIOR * 0.1) / (pl.col("campaigns_received") + RATE_PRIOR)
    return both.with_columns(redeemed_rate=share)


def _fit(log: CouponLog, before: pl.DataFrame, campaign: Campaign) -> pl.DataFrame:
    """Purchases of what the campaign's coupons may be spent on, within half a year."""
    coupons = log.coupons.filter(pl.col("campaign") == campaign.id)
    recent = before.filter(pl.col("day") >= campaign.start - HALF_YEAR)
    inside = recent.join(coupons.select("product").unique(), on="product", how="semi")
    bought = inside.group_by("person").agg(
        group_visits=pl.col("day").n_unique(),
        group_lines=pl.len(),
        days_since_group=campaign.start - pl.col("day").max(),
    )
    offered = inside.select("person", "product").unique().join(coupons, on="product")
    reached = offered.group_by("person").agg(group_coupons=pl.col("coupon").n_unique())
    lines = recent.group_by("person").agg(all_lines=pl.len())
    found = bought.join(lines, on="person").join(reached, on="person")
    return found.with_columns(group_share=pl.col("group_lines") / pl.col("all_lines")).drop("group_lines", "all_lines")


def redeemed(log: CouponLog, campaign: Campaign, cases: pl.DataFrame, keys: tuple[str, ...] = ("person",)) -> pl.Series:
    """Whether each case (`keys` of a row) had a redemption in the campaign, in order: the answer, never a feature."""
    yes = (
        log.redemptions.filter(pl.col("campaign") == campaign.id).select(*keys).unique().with_columns(yes=pl.lit(True))
    )
    return cases.join(yes, on=list(keys), how="left", maintain_order="left")["yes"].fill_null(False)
