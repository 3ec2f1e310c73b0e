"""What a server of language models serves, and whether it is there: asked of its `/v1/models`, beside the requests.

Takes a base URL, the name that is wanted and a key; gives a `Served` or EngineFailed. A thread asks until the server
answers and then ends; who meets a failure has it start again, so that a server that comes back is used again without
anybody's request waiting for it. Knows nothing of requests and answers.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import httpx
import structlog

from tasteline.errors import EngineFailed

FIRST_LISTED = "embedded"
"""The value of the setting that means: whatever the server lists first."""
ASK_EVERY_SECONDS = 2.0
ANSWER_SECONDS = 3.0
"""The list needs no computing: a server that takes longer is not there."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Served:
    name: str
    parent: str | None = None
    """The base model, where this one is an adapter of it."""
    by_vllm: bool = False
    """It takes what vLLM adds to the protocol."""


def pick(answer: object, wanted: str) -> Served:
    """The wanted model in the JSON of `/v1/models`. One that is not listed may be an alias: it is taken at its word.

    >>> pick({"data": [{"id": "base", "owned_by": "vllm"}, {"id": "mine", "parent": "base"}]}, "mine")
    Served(name='mine', parent='base', by_vllm=False)

    Raises EngineFailed where the answer is no list of models, or an empty one.
    """
    data = answer.get("data") if isinstance(answer, dict) else None
    listed = [model for model in data if isinstance(model, dict) and isinstance(model.get("id"), str)] if data else []
    if not listed:
        raise EngineFailed("The language model server lists no models.")
    first = next((model for model in listed if not model.get("parent")), listed[0])
    chosen = (
        first if wanted == FIRST_LISTED else next((m for m in listed if m["id"] == wanted), {**first, "id": wanted})
    )
    parent = chosen.get("parent")
    return Served(chosen["id"], parent if isinstance(parent, str) else None, chosen.get("owned_by") == "vllm")


class ServedModels:
    """Watches one server. `served` is None until it answered, and again after `doubt` until it answers anew."""

    def __init__(self, base_url: str, wanted: str, api_key: str | None) -> None:
        self._url = base_url.rstrip("/") + "/models"
        self._wanted = wanted
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._lock = threading.Lock()
        self._asking = False
        self._closed = threading.Event()
        self.served: Served | None = None

    def doubt(self) -> None:
        """Something went wrong: the server counts as gone until it lists its models again. Returns at once."""
        with self._lock:
            self.served = None
            if self._asking or self._closed.is_set():
                return
            self._asking = True
        threading.Thread(target=self._ask_until_found, name="language-model-server", daemon=True).start()

    def find(self) -> Served:
        """Asks now and waits, at most ANSWER_SECONDS. Raises EngineFailed."""
        try:
            answer = httpx.get(self._url, headers=self._headers, timeout=ANSWER_SECONDS)
            if answer.status_code != httpx.codes.OK:
                raise EngineFailed(f"The language model server at {self._url} answered {answer.status_code}.")
            self.served = found = pick(answer.json(), self._wanted)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise EngineFailed(f"No language model server answers at {self._url} ({error}).") from error
        return found

    def close(self) -> None:
        self._closed.set()

    def _ask_until_found(self) -> None:
        told = False
        while not self._closed.is_set():
            try:
                found = self.find()
            except EngineFailed as error:
                if not told:
                    log.warning("language_model_server_missing", error=str(error))
                told = True
                self._closed.wait(ASK_EVERY_SECONDS)
                continue
            with self._lock:
                if self.served is None:  # doubted again since
                    continue
                self._asking = False
            log.info("language_model_server_found", model=found.name, parent=found.parent)
            return
