"""Interests over time on the wire: what `GET /v1/users/{id}/interests` says beside the interests of this moment.

Takes the types of `retrieval.timeline` and `retrieval.drifts`, gives JSON through pydantic; decides nothing.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from app.schemas import InterestsResponse
from retrieval.drifts import Drift
from retrieval.timeline import Timeline, TopicLine, Trend, Unit


class MomentModel(BaseModel):
    time: datetime | None = Field(description="null where the person's events have no time.")
    step: int = Field(description="How many of the person's steps lie up to this moment.")


class TopicLineModel(BaseModel):
    topic: str
    broad: str = Field(description="What it is part of, by which drifts are named; often the topic itself.")
    trend: Trend
    short_term: list[float] = Field(description="Share of recent attention at each moment, 0 to 1.")
    long_term: list[float] = Field(description="Share of all attention at each moment, 0 to 1.")
    first_seen: datetime | None
    last_seen: datetime | None
    evidence: list[str] = Field(description="Ids of its latest events, the last first.")
    every_days: float | None = Field(default=None, description="Of a seasonal topic: days from one time to the next.")

    @classmethod
    def of(cls, line: TopicLine) -> TopicLineModel:
        return cls(
            topic=line.topic,
            broad=line.broad,
            trend=line.trend,
            short_term=[round(share, 4) for share in line.short_term],
            long_term=[round(share, 4) for share in line.long_term],
            first_seen=line.first_seen,
            last_seen=line.last_seen,
            evidence=list(line.evidence),
            every_days=None if line.season is None else round(line.season.every_days, 1),
        )


class TimelineModel(BaseModel):
    unit: Unit = Field(description="How far the moments are apart; 'step' within a day, or where there is no time.")
    moments: list[MomentModel] = Field(description="Oldest first; the last is that of the newest event.")
    topics: list[TopicLineModel] = Field(description="What draws the person now first, then what once did.")
    groups: list[TopicLineModel] = Field(
        description="The same by what the topics are part of, as drifts are named; empty where that is no other."
    )

    @classmethod
    def of(cls, timeline: Timeline) -> TimelineModel:
        return cls(
            unit=timeline.unit,
            moments=[MomentModel(time=moment.time, step=moment.step) for moment in timeline.moments],
            topics=[TopicLineModel.of(line) for line in timeline.topics],
            groups=[TopicLineModel.of(line) for line in timeline.groups],
        )


class DriftModel(BaseModel):
    model_config = ConfigDict(serialize_by_alias=True)

    since: datetime | None = Field(description="Of the first event after it; null where events have no time.")
    step: int = Field(description="Number of that event among the person's steps, from 1.")
    before: list[str] = Field(serialization_alias="from", description="Topics that the person turned away from.")
    after: list[str] = Field(serialization_alias="to", description="Topics that the person turned to.")
    evidence: list[str] = Field(description="Ids of the last events before it and of the first after it.")
    confidence: float = Field(description="Probability that something changed there, 0.5 to 1.")

    @classmethod
    def of(cls, drift: Drift) -> DriftModel:
        return cls(
            since=drift.since,
            step=drift.step,
            before=list(drift.before),
            after=list(drift.after),
            evidence=list(drift.evidence),
            confidence=round(drift.confidence, 4),
        )


class InterestsOverTimeResponse(InterestsResponse):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "user_id": "anna",
                    "interests": [
                        {
                            "topic": "Hiking › Boots",
                            "short_term": 0.8,
                            "long_term": 0.3,
                            "trend": "rising",
                            "evidence": ["c0ffee-9"],
                        }
                    ],
                    "summary": [{"text": "You looked at Alder Trail Boots.", "evidence": ["c0ffee-9"]}],
                    "query": "Alder Trail Boots Hiking",
                    "engine": "templates",
                    "timeline": {
                        "unit": "week",
                        "moments": [
                            {"time": "2026-10-04T09:30:00Z", "step": 12},
                            {"time": "2026-10-11T09:30:00Z", "step": 17},
                        ],
                        "topics": [
                            {
                                "topic": "Hiking › Boots",
                                "broad": "Outdoor",
                                "trend": "seasonal",
                                "short_term": [0.1, 0.8],
                                "long_term": [0.1, 0.3],
                                "first_seen": "2026-09-30T18:00:00Z",
                                "last_seen": "2026-10-11T09:30:00Z",
                                "evidence": ["c0ffee-9", "c0ffee-8"],
                                "every_days": 364.5,
                            }
                        ],
                        "groups": [
                            {
                                "topic": "Outdoor",
                                "broad": "Outdoor",
                                "trend": "rising",
                                "short_term": [0.1, 0.8],
                                "long_term": [0.1, 0.3],
                                "first_seen": "2026-09-30T18:00:00Z",
                                "last_seen": "2026-10-11T09:30:00Z",
                                "evidence": ["c0ffee-9", "c0ffee-8"],
                            }
                        ],
                    },
                    "drifts": [
                        {
                            "since": "2026-10-07T18:00:00Z",
                            "step": 13,
                            "from": ["Kitchen"],
                            "to": ["Outdoor"],
                            "evidence": ["c0ffee-3", "c0ffee-8", "c0ffee-9"],
                            "confidence": 0.94,
                        }
                    ],
                }
            ]
        }
    )
    timeline: TimelineModel = Field(description="The same topics over time.")
    drifts: list[DriftModel] = Field(description="When the person turned from one thing to another, oldest first.")
