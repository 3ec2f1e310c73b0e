"""Bodies of the forecast's routes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, Field

from retrieval.forecast import Leaving, Likely, PersonForecast, Rhythm


class RhythmModel(BaseModel):
    """Facts of the history: how often, how lately, how regularly."""

    times: int = Field(examples=[14])
    last_days: float | None = Field(description="Days since the last time; null: never.", examples=[11.0])
    gap_days: float | None = Field(description="Mean days from one time to the next; null: under two.", examples=[12.4])

    @classmethod
    def of(cls, rhythm: Rhythm) -> RhythmModel:
        return cls(times=rhythm.times, last_days=rhythm.last_days, gap_days=rhythm.gap_days)


class LikelyModel(BaseModel):
    id: str = Field(description="Of the product, or the category's name.", examples=["Coffee"])
    title: str = Field(examples=["Coffee"])
    probability: float = Field(description="That it is bought within `days`, 0 to 1.", examples=[0.71])
    reason: str = Field(examples=["bought 14 times, every 12 days, last 11 days ago"])
    rhythm: RhythmModel

    @classmethod
    def of(cls, likely: Likely) -> LikelyModel:
        return cls(
            id=likely.name,
            title=likely.title,
            probability=likely.probability,
            reason=likely.reason,
            rhythm=RhythmModel.of(likely.rhythm),
        )


class ForecastResponse(BaseModel):
    """What a person will buy within the next 30 days."""

    user_id: str = Field(examples=["anna"])
    as_of: datetime = Field(description="The moment from which on is forecast: that of the shop's newest purchase.")
    days: Literal[30] = 30
    model: str = Field(
        description="Id of the trained forecast; decayed_frequency: none is live, and a simple rule answers.",
        examples=["decayed_frequency"],
    )
    calibrated: bool = Field(
        description="Whether each of the parts that probabilities are made of was checked against what happened. False "
        "without a trained forecast, and for somebody who has bought nothing."
    )
    comes: float = Field(description="Probability that the person buys anything.", examples=[0.93])
    visits: RhythmModel
    categories: list[LikelyModel]
    products: list[LikelyModel]

    @classmethod
    def of(cls, user_id: str, found: PersonForecast, *, calibrated: bool) -> ForecastResponse:
        return cls(
            user_id=user_id,
            as_of=_moment(found.as_of),
            model=found.model,
            calibrated=calibrated,
            comes=round(found.comes, 4),
            visits=RhythmModel.of(found.visits),
            categories=[LikelyModel.of(each) for each in found.categories],
            products=[LikelyModel.of(each) for each in found.products],
        )


class LeavingModel(BaseModel):
    user_id: str = Field(examples=["anna"])
    probability: float = Field(description="That they buy nothing within `days`, 0 to 1.", examples=[0.82])
    last_visit_days: float | None = Field(examples=[41.0])
    usual_gap_days: float | None = Field(examples=[6.5])
    overdue: float = Field(description="Days since the last visit over the usual gap.", examples=[6.3])
    visits: int = Field(examples=[57])

    @classmethod
    def of(cls, found: Leaving) -> LeavingModel:
        return cls(
            user_id=found.user_id,
            probability=round(found.probability, 4),
            last_visit_days=found.visits.last_days,
            usual_gap_days=found.visits.gap_days,
            overdue=found.overdue,
            visits=found.visits.times,
        )


class LeavingResponse(BaseModel):
    """People who used to come, the likeliest to stay away first."""

    as_of: datetime
    days: Literal[30] = 30
    model: str = Field(examples=["decayed_frequency"])
    calibrated: bool
    people: list[LeavingModel]

    @classmethod
    def of(cls, moment: int, model: str, found: list[Leaving], *, calibrated: bool) -> LeavingResponse:
        people = [LeavingModel.of(each) for each in found]
        return cls(as_of=_moment(moment), model=model, calibrated=calibrated, people=people)


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
