"""The shop-wide view as it goes over the wire: `retrieval.insights.findings`, cut to what was asked for and rounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from app.schemas import PriceModel
from retrieval.insights import findings as f
from retrieval.insights.findings import ActionKind, Told, Topic

ACTIONS = 6
"""Of the short list on top: as many as fit a glance."""


def _rounded(figure: float | None, digits: int) -> float | None:
    return None if figure is None else round(figure, digits)


class TopicModel(BaseModel):
    name: str
    path: list[str] = Field(description="From broad to narrow; the last is the name.")

    @classmethod
    def of(cls, topic: Topic) -> TopicModel:
        return cls(name=topic[-1], path=list(topic))


class ActionModel(BaseModel):
    kind: ActionKind
    text: str = Field(examples=["Bring Kettles onto the home page."])
    because: str = Field(description="The figures that it rests on.")

    @classmethod
    def of(cls, action: f.Action) -> ActionModel:
        return cls(kind=action.kind, text=action.text, because=action.because)


class WantedModel(BaseModel):
    id: str
    title: str
    shoppers: int
    stock: int | None
    price: PriceModel | None

    @classmethod
    def of(cls, wanted: f.Wanted) -> WantedModel:
        known = wanted.price
        price = None if known is None else PriceModel(amount=known.amount, currency=known.currency)
        return cls(id=wanted.product_id, title=wanted.title, shoppers=wanted.shoppers, stock=wanted.stock, price=price)


class PartModel(BaseModel):
    segment: int
    name: str
    shoppers: int | None = Field(description="None: too few to be shown.")
    shoppers_before: int | None
    extra: float | None = Field(description="Shoppers beyond what was to be expected of this segment.")
    share: float | None = Field(description="Of the shoppers gained or lost in all segments that moved the same way.")
    is_most: bool = Field(description="Half of them or more.")


class TurnModel(BaseModel):
    topic: TopicModel
    direction: Literal["rising", "falling"]
    shoppers: int | None = Field(description="Different ones in the last days; None: too few to be shown.")
    shoppers_before: int | None = Field(description="Where one number is None, so is all that would tell it.")
    share: float | None = Field(description="Of all shoppers of these days.")
    share_before: float | None
    expected: float | None = Field(description="Share that was to be expected had no interest changed.")
    extra: float | None = Field(description="Shoppers beyond the expected ones; negative: missing.")
    change: float | None = Field(description="Of the shoppers against the expected ones: 0.4 is 40 % more.")
    attention: float | None = Field(description="Share of all attention: a view counts 1, a cart 3, a purchase 4.")
    attention_before: float | None
    p: float | None
    q: float | None = Field(description="p after Benjamini and Hochberg; None: under `false_alarm_rate`.")
    weekly: list[float | None]
    behind: list[PartModel]
    wanted: list[WantedModel]
    action: ActionModel

    @classmethod
    def of(cls, turn: f.Turn) -> TurnModel:
        return cls(
            topic=TopicModel.of(turn.topic),
            direction=turn.direction,
            shoppers=turn.shoppers,
            shoppers_before=turn.shoppers_before,
            share=_rounded(turn.share, 5),
            share_before=_rounded(turn.share_before, 5),
            expected=_rounded(turn.expected, 5),
            extra=_rounded(turn.extra, 1),
            change=_rounded(turn.change, 4),
            attention=_rounded(turn.attention, 5),
            attention_before=_rounded(turn.attention_before, 5),
            p=turn.p,
            q=turn.q,
            weekly=list(turn.weekly),
            behind=[
                PartModel(
                    segment=part.segment,
                    name=part.name,
                    shoppers=part.now,
                    shoppers_before=part.before,
                    extra=_rounded(part.extra, 1),
                    share=_rounded(part.share, 4),
                    is_most=part.is_most,
                )
                for part in turn.behind
            ],
            wanted=[WantedModel.of(wanted) for wanted in turn.wanted],
            action=ActionModel.of(turn.action),
        )


class EarlyModel(BaseModel):
    topic: TopicModel
    shoppers: int = Field(description="Different ones in the last four weeks.")
    growth: float = Field(description="Later four weeks over earlier four, the shop's own growth taken out.")
    weeks_up: int
    accelerating: bool
    p: float
    q: float
    weekly: list[float | None]
    wanted: list[WantedModel]
    action: ActionModel

    @classmethod
    def of(cls, sign: f.EarlySign) -> EarlyModel:
        return cls(
            topic=TopicModel.of(sign.topic),
            shoppers=sign.shoppers,
            growth=round(sign.growth, 3),
            weeks_up=sign.weeks_up,
            accelerating=sign.accelerating,
            p=sign.p,
            q=sign.q,
            weekly=list(sign.weekly),
            wanted=[WantedModel.of(wanted) for wanted in sign.wanted],
            action=ActionModel.of(sign.action),
        )


class FollowModel(BaseModel):
    before: TopicModel
    after: TopicModel
    shoppers: int
    steps: int
    confidence: float = Field(description="Share of the days with the first that a new second followed.")
    lift: float = Field(description="Against days of equally active people.")
    reverse_lift: float = Field(description="The same the other way round.")
    days: float = Field(description="Median between both.")
    p: float
    q: float
    action: ActionModel

    @classmethod
    def of(cls, each: f.Next) -> FollowModel:
        return cls(
            before=TopicModel.of(each.before),
            after=TopicModel.of(each.after),
            shoppers=each.shoppers,
            steps=each.steps,
            confidence=round(each.confidence, 5),
            lift=round(each.lift, 3),
            reverse_lift=round(each.reverse_lift, 3),
            days=each.days,
            p=each.p,
            q=each.q,
            action=ActionModel.of(each.action),
        )


class RuleModel(BaseModel):
    if_bought: list[TopicModel]
    then: list[TopicModel]
    baskets: int
    shoppers: int
    support: float = Field(description="Share of all baskets that hold all of it.")
    confidence: float = Field(description="Share of the baskets with the first that hold the second.")
    lift: float = Field(description="Confidence over the second's share of all baskets.")
    action: ActionModel

    @classmethod
    def of(cls, rule: f.Together) -> RuleModel:
        return cls(
            if_bought=[TopicModel.of(topic) for topic in rule.if_bought],
            then=[TopicModel.of(topic) for topic in rule.then],
            baskets=rule.baskets,
            shoppers=rule.shoppers,
            support=round(rule.support, 6),
            confidence=round(rule.confidence, 5),
            lift=round(rule.lift, 4),
            action=ActionModel.of(rule.action),
        )


class PrefersModel(BaseModel):
    topic: TopicModel
    share: float
    elsewhere: float | None = Field(description="Of all others; None: of too few of them to be shown.")


class RisesAmongModel(BaseModel):
    topic: TopicModel
    shoppers: int
    shoppers_before: int | None
    change: float | None
    q: float | None


class SegmentModel(BaseModel):
    number: int
    name: str
    people: int
    share: float
    prefers: list[PrefersModel] = Field(description="What its people turn to more than others, clearest first.")
    rising: list[RisesAmongModel]
    action: ActionModel

    @classmethod
    def of(cls, group: f.Group) -> SegmentModel:
        return cls(
            number=group.number,
            name=group.name,
            people=group.people,
            share=round(group.share, 4),
            prefers=[
                PrefersModel(
                    topic=TopicModel.of(one.topic), share=round(one.share, 4), elsewhere=_rounded(one.elsewhere, 4)
                )
                for one in group.prefers
            ],
            rising=[
                RisesAmongModel(
                    topic=TopicModel.of(one.topic),
                    shoppers=one.shoppers,
                    shoppers_before=one.shoppers_before,
                    change=_rounded(one.change, 4),
                    q=one.q,
                )
                for one in group.rising[:8]
            ],
            action=ActionModel.of(group.action),
        )


class InsightsResponse(BaseModel):
    as_of: datetime | None = Field(description="Last event with a time: the windows end there.")
    computed_at: datetime
    age_seconds: float
    computed_in_seconds: float
    being_renewed: bool
    days: int
    people: int
    events: int
    shoppers: int
    shoppers_before: int
    looked_around: float
    minimum_people: int = Field(description="Fewer are never shown.")
    false_alarm_rate: float = Field(description="Share of false ones among what is told to rise or fall, at most.")
    step_days: int = Field(description="Days between two points of `weekly`; of an early sign always 7.")
    categories: list[str] = Field(description="Topmost ones, for the parameter `category`.")
    actions: list[ActionModel]
    rising: list[TurnModel]
    falling: list[TurnModel]
    early: list[EarlyModel]
    follows: list[FollowModel]
    rules: list[RuleModel]
    segments: list[SegmentModel]
    segmented_people: int
    silhouette: float
    notes: list[str]

    @classmethod
    def of(cls, told: Told, departments: Sequence[str], category: str | None, limit: int) -> InsightsResponse:
        view = _within(told.view, category)
        rising = [turn for turn in view.turns if turn.direction == "rising"]
        falling = [turn for turn in view.turns if turn.direction == "falling"]
        return cls(
            as_of=view.as_of,
            computed_at=told.computed_at,
            age_seconds=round(told.age_seconds, 1),
            computed_in_seconds=round(told.seconds, 2),
            being_renewed=told.is_renewed,
            days=view.days,
            people=view.people,
            events=view.events,
            shoppers=view.shoppers,
            shoppers_before=view.shoppers_before,
            looked_around=round(view.looked_around, 4),
            minimum_people=view.fewest,
            false_alarm_rate=view.alarms,
            step_days=view.step_days,
            categories=list(departments),
            actions=[ActionModel.of(action) for action in actions_of(view)],
            rising=[TurnModel.of(turn) for turn in rising[:limit]],
            falling=[TurnModel.of(turn) for turn in falling[:limit]],
            early=[EarlyModel.of(sign) for sign in view.early[:limit]],
            follows=[FollowModel.of(each) for each in view.follows[:limit]],
            rules=[RuleModel.of(rule) for rule in view.together[:limit]],
            segments=[SegmentModel.of(group) for group in view.groups[:limit]],
            segmented_people=view.profiled,
            silhouette=round(view.silhouette, 4),
            notes=list(view.notes),
        )


def actions_of(view: f.View, most: int = ACTIONS) -> list[f.Action]:
    """The first of each list, then the second: what to do at a glance, rising interests first."""
    lists: list[list[f.Action]] = [
        sorted((turn.action for turn in view.turns if turn.direction == "rising"), key=lambda a: a.kind == "wind_down"),
        [sign.action for sign in view.early],
        [each.action for each in view.follows],
        [rule.action for rule in view.together],
        [turn.action for turn in view.turns if turn.direction == "falling"],
        sorted((group.action for group in view.groups), key=lambda a: a.kind == "lead"),
    ]
    rounds = range(max(map(len, lists), default=0))
    in_turn = [actions[place] for place in rounds for actions in lists if place < len(actions)]
    return in_turn[:most]


def _within(view: f.View, category: str | None) -> f.View:
    """The findings about topics with that name in their path."""
    if category is None:
        return view
    wanted = category.casefold()

    def holds(*topics: Topic) -> bool:
        return any(name.casefold() == wanted for topic in topics for name in topic)

    return replace(
        view,
        turns=[turn for turn in view.turns if holds(turn.topic)],
        early=[sign for sign in view.early if holds(sign.topic)],
        follows=[each for each in view.follows if holds(each.before, each.after)],
        together=[rule for rule in view.together if holds(*rule.if_bought, *rule.then)],
        groups=[group for group in view.groups if holds(*(one.topic for one in group.prefers))],
    )
