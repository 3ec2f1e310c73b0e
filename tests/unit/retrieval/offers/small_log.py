"""Coupon campaigns of a made-up shop: half its people like coupons, everybody buys either bread or tea."""

import numpy as np
import polars as pl

from retrieval.offers.campaign import CouponLog

START, DAYS = 10_000, 360
BREAD, TEA = 1, 2


def small_log(people: int = 80, seed: int = 0) -> CouponLog:
    """A campaign every 24 days with a coupon for bread and one for tea; those who like coupons redeem what they buy."""
    chance = np.random.default_rng(seed)
    names = [f"p{number:02}" for number in range(people)]
    keen, tea = {name: number % 2 == 0 for number, name in enumerate(names)}, set(names[people // 2 :])
    lines, redemptions = [], []
    campaigns = [(number, "Type A" if number % 3 == 0 else "Type B", START + 40 + 24 * number) for number in range(12)]
    for name in names:
        product = TEA if name in tea else BREAD
        for day in np.sort(chance.choice(DAYS, 60, replace=False)).tolist():
            used = keen[name] and chance.random() < 0.2
            lines.append((name, product, "drinks" if product == TEA else "food", START + day, 2.0, used, False))
        for campaign, _, start in campaigns:
            if keen[name] and chance.random() < 0.4:
                redemptions.append((campaign, name, product, start + 5))
    return CouponLog(
        lines=pl.DataFrame(
            lines, schema=["person", "product", "category", "day", "spent", "coupon", "reduced"], orient="row"
        ),
        campaigns=pl.DataFrame(
            [(number, kind, start, start + 20) for number, kind, start in campaigns],
            schema=["campaign", "kind", "start", "end"],
            orient="row",
        ),
        recipients=pl.DataFrame(
            [(campaign, name) for campaign, _, _ in campaigns for name in names],
            schema=["campaign", "person"],
            orient="row",
        ),
        coupons=pl.DataFrame(
            [(campaign, product, product) for campaign, _, _ in campaigns for product in (BREAD, TEA)],
            schema=["campaign", "coupon", "product"],
            orient="row",
        ),
        redemptions=pl.DataFrame(redemptions, schema=["campaign", "person", "coupon", "day"], orient="row"),
        people=pl.DataFrame({"person": ["p00"], "age": [0.5], "income": [0.2], "kids": [1.0]}),
    )
