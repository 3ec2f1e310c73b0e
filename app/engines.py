"""The one place that names concrete engines: a setting in, an adapter of a port out. Nothing happens at import."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Protocol, runtime_checkable

from tasteline.errors import EngineFailed, InvalidInput, SetupError
from tasteline.ports import Embedder, LanguageModel, Reranker, Store, VectorIndex
from tasteline.settings import Settings

LOADING_SECONDS = 300.0
"""For the first start of an engine, which converts the weights."""


def open_store(settings: Settings) -> Store:
    from retrieval.adapters.store_sql import SqlStore

    settings.home.mkdir(parents=True, exist_ok=True)
    return SqlStore(settings.sqlalchemy_url())


def open_store_at(settings: Settings) -> Callable[[Path], Store]:
    """Opens the store of another home, such as one that the harness made."""
    return lambda home: open_store(settings.model_copy(update={"home": home, "database_url": None}))


def open_embedder(settings: Settings) -> Embedder:
    """The live encoder, or the configured one where none was promoted, behind the cache of texts already embedded."""
    from app.encoders import Encoders

    return Encoders(settings).live()


def published_encoder(settings: Settings) -> Embedder:
    """The one of the settings, without a cache."""
    if settings.embedder == "hashing":
        from retrieval.adapters.embedder_hashing import HashingEmbedder

        return HashingEmbedder()
    from retrieval.adapters.weights import encoder_path

    return encoder_in(encoder_path(settings.embedder_model), settings)


def encoder_in(model: str, settings: Settings) -> Embedder:
    """A folder or hub id, by the configured engine."""
    if settings.embedder == "sentence-transformers":
        from retrieval.adapters.embedder_sentence_transformers import SentenceTransformersEmbedder

        return SentenceTransformersEmbedder(model)
    from retrieval.adapters.embedder_openvino import OpenVinoEmbedder

    return OpenVinoEmbedder(model, settings.home / "models", settings.embedder_threads)


def open_reranker(folder: str, served_name: str, settings: Settings) -> Reranker:
    """The cross-encoder in `folder`; on a server, what it serves under `served_name`."""
    if settings.reranker == "server":
        from retrieval.adapters.reranker_server import ServerReranker

        key = settings.reranker_key.get_secret_value() if settings.reranker_key else None
        return ServerReranker(settings.reranker_url, served_name, key)
    if settings.reranker == "sentence-transformers":
        from retrieval.adapters.reranker_sentence_transformers import SentenceTransformersReranker

        return SentenceTransformersReranker(folder)
    from retrieval.adapters.reranker_openvino import OpenVinoReranker

    return OpenVinoReranker(folder, settings.home / "models", settings.embedder_threads)


def new_vectors(settings: Settings, dimension: int) -> VectorIndex:
    if settings.vector_index == "numpy":
        from retrieval.adapters.vectors_numpy import NumpyVectorIndex

        return NumpyVectorIndex(dimension)
    from retrieval.adapters.threads import one_thread_each
    from retrieval.adapters.vectors_faiss import FaissVectorIndex

    one_thread_each()
    return FaissVectorIndex(dimension)


@runtime_checkable
class Warming(LanguageModel, Protocol):
    """An engine that loads beside the first requests."""

    def warm(self) -> Future[None]:
        """Starts loading and returns at once; `.result()` waits and raises what went wrong."""
        ...


def open_trained_language_model(merged: Path, name: str, settings: Settings) -> Warming:
    """The merged model in that folder, by the configured engine; of a server, what it serves under `name`.

    Raises InvalidInput where the engine runs none, SetupError where it cannot be made into what the engine reads.
    """
    threads, waiting = settings.language_model_threads, settings.language_model_waiting
    if settings.language_model == "openai":
        from app.llm.openai_protocol import OpenAiLanguageModel

        key = settings.language_model_key.get_secret_value() if settings.language_model_key else None
        return OpenAiLanguageModel(settings.language_model_url, name, key, max_waiting=waiting)
    if settings.language_model == "transformers":
        from app.llm.transformers_local import TransformersLanguageModel

        return TransformersLanguageModel(merged, threads, max_waiting=waiting)
    if settings.language_model == "openvino":
        from app.llm.openvino_genai import OpenVinoLanguageModel

        file = _gguf_of(merged, name, settings)
        return OpenVinoLanguageModel(file, settings.home / "models", threads, max_waiting=waiting)
    message = f"the engine “{settings.language_model}” runs no trained model; set TASTELINE_LANGUAGE_MODEL=openvino"
    raise InvalidInput(message)


def _gguf_of(merged: Path, name: str, settings: Settings) -> Path:
    """Written once for each entry, which never changes."""
    from app.llm.gguf_export import write_gguf
    from retrieval.adapters.weights import language_model_path

    base = Path(language_model_path(settings.language_model_name))
    if base.suffix.lower() != ".gguf":
        message = f"A trained model is exported for OpenVINO beside the GGUF file of its base, and {base} is none."
        raise SetupError(message, remedy="TASTELINE_LANGUAGE_MODEL=transformers tasteline serve")
    file = settings.home / "models" / "trained-llm" / f"{name}.gguf"
    if not file.exists():
        write_gguf(merged, base, file)
    return file


def open_language_model(settings: Settings) -> LanguageModel | None:
    if settings.language_model == "none":
        return None
    if settings.language_model == "scripted":
        from app.llm.scripted import ScriptedLanguageModel

        return ScriptedLanguageModel(["Here is what I found for you."])
    if settings.language_model == "openai":
        from app.llm.openai_protocol import OpenAiLanguageModel

        key = settings.language_model_key.get_secret_value() if settings.language_model_key else None
        return OpenAiLanguageModel(
            settings.language_model_url, settings.language_model_name, key, max_waiting=settings.language_model_waiting
        )
    return _in_process(settings)


def wait_until_loaded(model: LanguageModel, seconds: float = LOADING_SECONDS) -> None:
    """Until it would answer at once. Raises EngineFailed, with what kept it from loading."""
    if not isinstance(model, Warming):
        return
    try:
        model.warm().result(seconds)
    except TimeoutError:
        raise EngineFailed(f"The language model {model.name} did not load within {seconds:g} s.") from None


def _in_process(settings: Settings) -> LanguageModel:
    """Loads beside the first requests, which do not wait for it."""
    from retrieval.adapters import weights

    name, home = settings.language_model_name, settings.home / "models"
    threads, waiting = settings.language_model_threads, settings.language_model_waiting
    if settings.language_model == "transformers":
        from app.llm.transformers_local import TransformersLanguageModel

        reference = TransformersLanguageModel(weights.language_model_folder(name, home), threads, max_waiting=waiting)
        reference.warm()
        return reference
    from app.llm.openvino_genai import OpenVinoLanguageModel

    model = OpenVinoLanguageModel(weights.language_model_path(name), home, threads, max_waiting=waiting)
    model.warm()
    return model
