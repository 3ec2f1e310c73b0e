"""Metrics and logs of the service. Never a shopper's words, never a person's id."""

from __future__ import annotations

import logging
import sys

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class Metrics:
    """One registry per service, so that two in one process (tests) do not collide."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "tasteline_requests_total", "Requests answered", ["route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "tasteline_request_seconds", "Time to the last byte", ["route"], buckets=BUCKETS, registry=self.registry
        )
        self.stage_seconds = Histogram(
            "tasteline_chat_stage_seconds", "Time of a chat stage", ["stage"], buckets=BUCKETS, registry=self.registry
        )
        self.sentences = Counter(
            "tasteline_wording_sentences_total",
            "Sentences of the language model: kept, or why the template's line stands instead",
            ["verdict"],
            registry=self.registry,
        )
        self.model_answers = Counter(
            "tasteline_model_answers_total",
            "Answers of each language model: ok, wrong_format, repetition, missing, late, busy, failed",
            ["model", "prompt", "outcome"],
            registry=self.registry,
        )
        self.model_tokens = Counter(
            "tasteline_model_tokens_total",
            "Tokens of each language model: prompt, cached, completion",
            ["model", "prompt", "kind"],
            registry=self.registry,
        )
        self.model_seconds = Histogram(
            "tasteline_model_seconds",
            "Time of an answer of each language model, to its last token or to where it was left",
            ["model", "prompt"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.events = Counter("tasteline_events_total", "Events acknowledged", ["outcome"], registry=self.registry)
        self.follow_failures = Counter(
            "tasteline_follow_failures_total", "Failed background steps", ["step"], registry=self.registry
        )
        self.products = Gauge("tasteline_products", "Products that can be shown", registry=self.registry)
        self.revision = Gauge("tasteline_revision", "Store revision that the indexes hold", registry=self.registry)


def configure_logging(log_format: str) -> None:
    """JSON lines or console text on standard error."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if log_format == "json" else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks if log_format == "json" else structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
