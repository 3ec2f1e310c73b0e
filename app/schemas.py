"""What goes over the wire: requests are checked here, answers are shaped here, nothing is decided here.

Takes and gives JSON through pydantic; translates to and from the types inside (`tasteline.types`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Strict,
    Tag,
    field_validator,
    model_validator,
)
from pydantic.config import JsonDict

from retrieval.erasure import Erased
from retrieval.offers.sponsoring import Sponsored
from retrieval.welcome import MOST_QUESTIONS
from tasteline import types as t
from tasteline.clock import latest_moment

Id = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Word = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(max_length=2_000)]
MAX_INTEGER = 2**53 - 1
"""The largest that every JSON reader keeps exact (RFC 8259, section 6), a browser's among them."""


def _number(value: object) -> object:
    """`false` is no stock of 0 and "7" no number of stars; 7.0 is a whole number in JSON."""
    if isinstance(value, bool | str):
        raise ValueError("must be a number")
    return value


def _time(value: object) -> object:
    """RFC 3339 only: a bare number would be taken for seconds since 1970, or milliseconds, by its size."""
    if isinstance(value, datetime) or (isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d[Tt ]", value)):
        return value
    raise ValueError("must be a time like 2026-01-31T12:00:00Z")


NUMBER = BeforeValidator(_number)
"""Stands last: limits before it stay in the OpenAPI."""
Real = Annotated[float, Field(allow_inf_nan=False), NUMBER]
Flag = Annotated[bool, Strict()]
Count = Annotated[int, Field(ge=0, le=MAX_INTEGER), NUMBER]
Amount = Count
Limit = Annotated[int, Field(ge=1, le=100), NUMBER]
Stars = Annotated[float, Field(ge=0, le=5), NUMBER]
Time = Annotated[AwareDatetime, BeforeValidator(_time)]


class Wire(BaseModel):
    """Base of everything that comes in: an unknown field is an error, so that a misspelt filter is not ignored."""

    model_config = ConfigDict(extra="forbid")


class PriceModel(Wire):
    amount: Amount = Field(description="Minor units (cents).", examples=[7999])
    currency: str = Field(pattern="^[A-Z]{3}$", examples=["USD"])


class ProductModel(Wire):
    id: Id
    title: str = Field(min_length=1, max_length=1_000)
    description: str = Field(default="", max_length=50_000)
    brand: Word | None = None
    categories: list[Word] = Field(default=[], max_length=20, description="From broad to narrow.")
    price: PriceModel | None = None
    rating: Stars | None = None
    rating_count: Count | None = None
    stock: Count | None = Field(default=None, description="null: unknown, counts as available.")
    attributes: dict[Word, list[Annotated[str, Field(max_length=1_000)]]] = Field(default={}, max_length=500)
    url: str | None = Field(default=None, max_length=2_000)
    image_url: str | None = Field(default=None, max_length=2_000)

    @classmethod
    def of(cls, product: t.Product) -> ProductModel:
        price = product.price and PriceModel.model_construct(
            amount=product.price.amount, currency=product.price.currency
        )
        return cls.model_construct(
            id=product.id,
            title=product.title,
            description=product.description,
            brand=product.brand,
            categories=list(product.categories),
            price=price,
            rating=product.rating,
            rating_count=product.rating_count,
            stock=product.stock,
            attributes={name: list(values) for name, values in product.attributes.items()},
            url=product.url,
            image_url=product.image_url,
        )

    def product(self) -> t.Product:
        return t.Product(
            id=self.id,
            title=self.title,
            description=self.description,
            brand=self.brand,
            categories=tuple(self.categories),
            price=t.Price(self.price.amount, self.price.currency) if self.price else None,
            rating=self.rating,
            rating_count=self.rating_count,
            stock=self.stock,
            attributes={name: tuple(values) for name, values in self.attributes.items()},
            url=self.url,
            image_url=self.image_url,
        )


class AttributeFilterModel(Wire):
    name: Word
    values: list[Word] = Field(default=[], max_length=100)
    minimum: Real | None = None
    maximum: Real | None = None


class FiltersModel(Wire):
    """Within one field any value may match; all fields must."""

    price_min: Amount | None = None
    price_max: Amount | None = None
    currency: str | None = Field(default=None, pattern="^[A-Z]{3}$")
    categories: list[Word] = Field(default=[], max_length=100)
    brands: list[Word] = Field(default=[], max_length=100)
    rating_min: Stars | None = None
    in_stock: Flag = False
    attributes: list[AttributeFilterModel] = Field(default=[], max_length=50)
    exclude_brands: list[Word] = Field(default=[], max_length=100)
    exclude_categories: list[Word] = Field(default=[], max_length=100)
    exclude_terms: list[Word] = Field(default=[], max_length=100)

    def filters(self, exclude_ids: Sequence[str] = ()) -> t.Filters:
        return t.Filters(
            price_min=self.price_min,
            price_max=self.price_max,
            currency=self.currency,
            categories=tuple(self.categories),
            brands=tuple(self.brands),
            rating_min=self.rating_min,
            in_stock=self.in_stock,
            attributes=tuple(t.AttributeFilter(a.name, tuple(a.values), a.minimum, a.maximum) for a in self.attributes),
            exclude_ids=frozenset(exclude_ids),
            exclude_brands=tuple(self.exclude_brands),
            exclude_categories=tuple(self.exclude_categories),
            exclude_terms=tuple(self.exclude_terms),
        )


class SponsoredModel(Wire):
    """Products that may be put higher than their match alone would, within a stated loss of relevance."""

    product_ids: list[Id] = Field(min_length=1, max_length=1_000)
    slots: Annotated[int, Field(ge=1, le=5), NUMBER] = Field(default=1, description="Products moved up, at most.")
    max_loss: Annotated[float, Field(ge=0, le=0.5), NUMBER] = Field(
        default=0.1,
        description="A product is put above another only where its score is at least (1 - max_loss) of the other's; "
        "never above the best match.",
    )

    def sponsored(self) -> Sponsored:
        return Sponsored(frozenset(self.product_ids), self.slots, self.max_loss)


Paid = Annotated[SponsoredModel | None, Field(description="null: nothing is sponsored.")]


class SearchRequest(Wire):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"query": "waterproof jacket under $80, not leather", "limit": 5}]},
    )
    query: Text
    filters: FiltersModel = FiltersModel()
    user_id: Id | None = None
    limit: Limit = 10
    exclude_ids: list[Id] = Field(default=[], max_length=1_000)
    ignore: list[Word] = Field(
        default=[], max_length=50, description="Keys of understood constraints that the shopper took back."
    )
    sponsored: Paid = None


def _given(name: str) -> JsonDict:
    return {"required": [name], "properties": {name: {"type": "string"}}}


class EventModel(Wire):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            # What `says_enough` checks, for the readers of the OpenAPI.
            "allOf": [
                {"anyOf": [_given("user_id"), _given("session_id")]},
                {
                    "anyOf": [
                        {
                            "required": ["query"],
                            "properties": {"event": {"const": "search"}, "query": {"type": "string", "minLength": 1}},
                        },
                        {"properties": {"event": {"enum": ["view_cart", "begin_checkout"]}}},
                        {
                            "required": ["product_id"],
                            "properties": {
                                "event": {"enum": [kind.value for kind in t.EventType if kind != t.EventType.SEARCH]},
                                "product_id": {"type": "string"},
                            },
                        },
                    ]
                },
            ],
            "examples": [
                {
                    "event_id": "c0ffee-1",
                    "event": "view_item",
                    "user_id": "anna",
                    "product_id": "P1",
                    "time": "2026-01-31T12:00:00Z",
                }
            ],
        },
    )
    event_id: Id
    event: t.EventType
    user_id: Id | None = None
    session_id: Id | None = None
    product_id: Id | None = None
    query: Text | None = None
    time: Time | None = None
    position: Count | None = None
    quantity: Annotated[int, Field(ge=1, le=1_000_000), NUMBER] = 1
    ranking_id: Id | None = None

    @field_validator("time")
    @classmethod
    def in_utc(cls, time: datetime | None) -> datetime | None:
        """Times near year 1 or 9999 overflow when moved to UTC: that is the caller's mistake. So is the future."""
        try:
            time = time.astimezone(UTC) if time else None
        except OverflowError as error:
            raise ValueError("time is out of range") from error
        if time is not None and time > latest_moment():
            raise ValueError("time is in the future: more than a day ahead of this machine's clock")
        return time

    @model_validator(mode="after")
    def says_enough(self) -> EventModel:
        if self.user_id is None and self.session_id is None:
            raise ValueError("an event needs a user_id or a session_id")
        if self.event == t.EventType.SEARCH:
            if not self.query:
                raise ValueError("a search event needs a query")
        elif self.product_id is None and self.event not in (t.EventType.VIEW_CART, t.EventType.BEGIN_CHECKOUT):
            raise ValueError(f"a {self.event.value} event needs a product_id")
        return self

    def to_event(self) -> t.Event:
        return t.Event(
            id=self.event_id,
            type=self.event,
            user_id=self.user_id,
            session_id=self.session_id,
            product_id=self.product_id,
            query=self.query,
            time=self.time,
            position=self.position,
            quantity=self.quantity,
            ranking_id=self.ranking_id,
        )


class SessionEventModel(Wire):
    """One step of a session that is sent along with a request instead of being looked up."""

    event: t.EventType
    product_id: Id | None = None
    query: Text | None = None


class AnswerModel(Wire):
    """An answer to a question that an earlier response put."""

    question: Word
    option: Word

    def choice(self) -> t.Choice:
        return t.Choice(self.question, self.option)


class RecommendationRequest(Wire):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            # What `has_anchor` checks.
            "anyOf": [
                {"properties": {"context": {"enum": ["home", "welcome"]}}},
                {
                    "required": ["context", "product_id"],
                    "properties": {"context": {"const": "product"}, "product_id": {"type": "string"}},
                },
                {
                    "required": ["context", "cart"],
                    "properties": {"context": {"const": "cart"}, "cart": {"type": "array", "minItems": 1}},
                },
            ],
            "examples": [
                {"user_id": "anna", "context": "home", "limit": 8},
                {"context": "welcome", "wish": "something warm for camping, under $50"},
                {"context": "welcome", "answers": [{"question": "category-1", "option": "Outdoor"}]},
            ],
        },
    )
    user_id: Id | None = None
    session_id: Id | None = None
    session: list[SessionEventModel] = Field(default=[], max_length=200)
    context: Literal["home", "product", "cart", "welcome"] = "home"
    product_id: Id | None = None
    cart: list[Id] = Field(default=[], max_length=200)
    query: Text | None = Field(default=None, description="Narrows to what a search for it finds.")
    wish: Text | None = Field(
        default=None,
        description="What a newcomer is after, heard in context 'welcome': it orders by what the words mean and "
        "narrows nothing, except where it sets a limit.",
    )
    answers: list[AnswerModel] = Field(
        default=[],
        max_length=MOST_QUESTIONS,
        description="A newcomer's answers so far, heard in context 'welcome'; they order and narrow nothing.",
    )
    filters: FiltersModel = FiltersModel()
    limit: Limit = 10
    exclude_ids: list[Id] = Field(default=[], max_length=1_000)
    exclude_seen: Flag = False
    sponsored: Paid = None

    @model_validator(mode="after")
    def has_anchor(self) -> RecommendationRequest:
        if self.context == "product" and self.product_id is None:
            raise ValueError("context 'product' needs a product_id")
        if self.context == "cart" and not self.cart:
            raise ValueError("context 'cart' needs a cart")
        return self


class ReasonModel(BaseModel):
    kind: t.ReasonKind
    text: str
    evidence: list[str] = []


class RankedProductModel(BaseModel):
    product: ProductModel
    score: float
    reasons: list[ReasonModel]
    sponsored: bool = Field(default=False, description="Stands higher than its score alone would put it.")

    @classmethod
    def of(cls, ranked: t.RankedProduct) -> RankedProductModel:
        reasons = [
            ReasonModel.model_construct(kind=r.kind, text=r.text, evidence=list(r.evidence)) for r in ranked.reasons
        ]
        return cls.model_construct(
            product=ProductModel.of(ranked.product),
            score=round(ranked.score, 6),
            reasons=reasons,
            sponsored=ranked.sponsored,
        )


class ConstraintModel(BaseModel):
    key: str
    label: str


class UnderstoodModel(BaseModel):
    text: str
    query: str
    constraints: list[ConstraintModel]
    sort: t.Sort

    @classmethod
    def of(cls, understood: t.Understood) -> UnderstoodModel:
        constraints = [ConstraintModel(key=c.key, label=c.label) for c in understood.constraints]
        return cls(text=understood.text, query=understood.query, constraints=constraints, sort=understood.sort)


class RelaxationModel(ConstraintModel):
    would_match: int


class RankingResponse(BaseModel):
    ranking_id: str
    items: list[RankedProductModel]
    total: int = Field(description="How many products keep every limit and carry every word that was searched for.")
    understood: UnderstoodModel | None = None
    relaxations: list[RelaxationModel] = Field(default=[], description="What would fit, when nothing does.")
    degraded: list[str] = []

    @classmethod
    def of(cls, ranking: t.Ranking) -> RankingResponse:
        return cls.model_construct(
            ranking_id=ranking.id,
            items=[RankedProductModel.of(item) for item in ranking.items],
            total=ranking.total,
            understood=UnderstoodModel.of(ranking.understood) if ranking.understood else None,
            relaxations=[
                RelaxationModel(key=r.constraint.key, label=r.constraint.label, would_match=r.would_match)
                for r in ranking.relaxations
            ],
            degraded=list(ranking.degraded),
        )


class OptionModel(BaseModel):
    id: str
    label: str


class QuestionModel(BaseModel):
    """Send it back as `{"question": id, "option": id of one option}` in `answers`."""

    id: str
    text: str
    options: list[OptionModel] = Field(description="The largest groups, then `anything`, which tells nothing.")


class RecommendationResponse(RankingResponse):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "ranking_id": "f7964e03cbf78a7a",
                    "items": [],
                    "total": 120,
                    "question": {
                        "id": "category-1",
                        "text": "What are you looking for?",
                        "options": [
                            {"id": "Outdoor", "label": "Outdoor"},
                            {"id": "Kitchen", "label": "Kitchen"},
                            {"id": "anything", "label": "Anything"},
                        ],
                    },
                }
            ]
        }
    )
    question: QuestionModel | None = Field(
        default=None,
        description="In context 'welcome', for somebody who has done and said nothing: what to ask next, of at most "
        "three questions the one whose answer is expected to tell most. null: nothing (more) is worth asking.",
    )


class EventBatch(Wire):
    events: list[EventModel] = Field(max_length=10_000)


def _event_shape(body: object) -> str:
    if isinstance(body, list):
        return "list"
    return "batch" if isinstance(body, EventBatch) or (isinstance(body, dict) and "events" in body) else "one"


EventsBody = Annotated[
    Annotated[EventModel, Tag("one")]
    | Annotated[Annotated[list[EventModel], Field(max_length=10_000)], Tag("list")]
    | Annotated[EventBatch, Tag("batch")],
    Discriminator(_event_shape),
]
"""One event, a list of them, or {"events": [...]}."""


class ProductBatch(Wire):
    products: list[ProductModel] = Field(max_length=10_000)


class WrittenResponse(BaseModel):
    accepted: int
    repeated: int


class RemovedResponse(BaseModel):
    removed: int


class LearnerModel(BaseModel):
    """A model that learned from an erased person."""

    kind: str
    id: str
    recorded: bool = Field(description="False: it is not known whom it learned from, so it is named to be safe.")
    live: bool = Field(description="Whether it was in use when the person was erased.")


class ErasedResponse(BaseModel):
    removed: int = Field(description="Rows of the store: events, turns and rankings.")
    files: dict[str, int] = Field(description="Rows removed by file, relative to the home.")
    caches: list[str] = Field(description="Thrown away whole; they are made again when they are wanted.")
    learners: list[LearnerModel] = Field(description="Models that learned from the person.")
    live: dict[str, str | None] = Field(description="What is live now, by kind, where models were retired.")

    @classmethod
    def of(cls, erased: Erased) -> ErasedResponse:
        return cls(
            removed=erased.rows,
            files=dict(erased.files),
            caches=list(erased.caches),
            learners=[LearnerModel(kind=e.kind, id=e.id, recorded=e.recorded, live=e.live) for e in erased.learners],
            live={kind: change.live for kind, change in erased.withdrawn.items()},
        )


class InterestModel(BaseModel):
    topic: str
    short_term: float
    long_term: float
    trend: Literal["rising", "steady", "fading", "new"]
    evidence: list[str]

    @classmethod
    def of(cls, interest: t.Interest) -> InterestModel:
        return cls(
            topic=interest.topic,
            short_term=round(interest.short_term, 4),
            long_term=round(interest.long_term, 4),
            trend=interest.trend,
            evidence=list(interest.evidence),
        )


class InterestSentenceModel(BaseModel):
    text: str
    evidence: list[str] = Field(description="Ids of the events that it rests on.")


class InterestsResponse(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "user_id": "anna",
                    "interests": [
                        {
                            "topic": "Hiking › Boots",
                            "short_term": 0.8,
                            "long_term": 0.5,
                            "trend": "rising",
                            "evidence": ["c0ffee-1"],
                        }
                    ],
                    "summary": [
                        {"text": "You looked at Alder Trail Boots.", "evidence": ["c0ffee-1"]},
                        {"text": "Lately it is mostly Hiking › Boots.", "evidence": ["c0ffee-1"]},
                    ],
                    "query": "Alder Trail Boots Hiking",
                    "engine": "templates",
                }
            ]
        }
    )
    user_id: str
    interests: list[InterestModel] = Field(description="Strongest short-term interest first.")
    summary: list[InterestSentenceModel] = Field(
        default=[], description="Two or three sentences, each borne out by the events that it names."
    )
    query: str = Field(default="", description="What to search for on this person's behalf; empty for a stranger.")
    engine: str = Field(default="", description="Whose words stand in the summary: 'templates' or a model's name.")


class EngineModel(BaseModel):
    """Which parts answer: shown on the page."""

    embedder: str
    language_model: str
    products: int
    revision: int
    sources: list[str]


class FeaturedPersonModel(BaseModel):
    user_id: str
    name: str
    about: str


class ShopResponse(BaseModel):
    """What a page needs to know before the first question."""

    name: str
    currency: str | None
    categories: list[str] = Field(description="Top level, largest first.")
    people: list[FeaturedPersonModel]
    engine: EngineModel


class ChatMessageModel(BaseModel):
    """An OpenAI chat message; content may be text or a list of text parts. Other fields are accepted and ignored."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[dict[str, object]] | None = None

    def text(self) -> str:
        if isinstance(self.content, list):
            return " ".join(str(part["text"]) for part in self.content if part.get("type") == "text" and "text" in part)
        return self.content or ""


class TastelineOptions(Wire):
    """Our part of a chat request (`extra_body={"tasteline": {...}}` in the openai client)."""

    conversation_id: Id | None = None
    user_id: Id | None = None
    session_id: Id | None = None
    ignore: list[Word] = Field(default=[], max_length=50)


class StreamOptions(BaseModel):
    include_usage: Flag | None = False


class ChatRequest(BaseModel):
    """OpenAI chat completions. Sampling parameters are accepted and have no effect on facts."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "examples": [{"model": "tasteline", "messages": [{"role": "user", "content": "a tent under $200"}]}]
        },
    )
    model: str = Field(default="tasteline", max_length=200)
    messages: list[ChatMessageModel] = Field(min_length=1, max_length=200)
    stream: Flag | None = False
    stream_options: StreamOptions | None = None
    user: Id | None = None
    tasteline: TastelineOptions = TastelineOptions()


class ChatDetails(BaseModel):
    """The `tasteline` field of a completion, and of the first and last chunk of a streamed one."""

    conversation_id: str
    ranking_id: str | None = None
    products: list[RankedProductModel] = []
    understood: UnderstoodModel | None = None
    relaxations: list[RelaxationModel] = []
    interests: list[InterestModel] = []
    follow_ups: list[str] = []
    engine: str = Field(default="", description="Which voice spoke: 'templates' or a model's name.")
    runtime: str = Field(default="", description="Where the model runs: openvino, transformers, openai (a server).")
    degraded: list[str] = []
    trace: dict[str, float] = Field(default={}, description="Milliseconds by stage.")
    heard: list[str] = Field(default=[], description="What the model was asked of the message, and what was taken.")


class SpokenModel(BaseModel):
    role: Literal["assistant"]
    content: str


class ChoiceModel(BaseModel):
    index: int
    message: SpokenModel
    finish_reason: Literal["stop"]
    logprobs: None = None


class UsageModel(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Completion(BaseModel):
    """An OpenAI chat completion with our facts beside it."""

    id: str
    object: Literal["chat.completion"]
    created: int = Field(description="Seconds since 1970.")
    model: str
    choices: list[ChoiceModel]
    usage: UsageModel
    tasteline: ChatDetails


class ReadyResponse(BaseModel):
    status: Literal["ready", "not ready"]
    reasons: list[str] = Field(description="What keeps it from answering, or what the operator should know.")
    products: int
    revision: int
    models: dict[str, str] = Field(
        default={},
        description="Id of the trained model in use, by kind.",
        examples=[{"next-item": "20261128-090501-3f9a1c"}],
    )
    candidates: dict[str, str] = Field(
        default={},
        description="Id of the model that an experiment tries beside it, by kind.",
        examples=[{"llm": "20261129-101500-7c2e9d"}],
    )


class Problem(BaseModel):
    """RFC 9457."""

    type: str = Field(examples=["urn:tasteline:invalid-input"])
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] = Field(default=[], description="For a wrong body: field and reason.")
