"""What the tests of rerankers share: a cross-encoder small enough to make anew, and a server that scores with one."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from retrieval.adapters.weights import encoder_path

Score = Callable[[list[str], list[str]], list[float]]


def tiny_cross_encoder(folder: Path, labels: int = 1, seed: int = 7) -> Path:
    """A random two-layer BERT with a classifier on it; with weights so wide that its score depends on the texts."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    torch.manual_seed(seed)
    tokenizer = BertTokenizerFast.from_pretrained(encoder_path("embedded"))
    tokenizer.model_max_length = 64
    tokenizer.save_pretrained(folder)
    config = BertConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.2,
        num_labels=labels,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


@dataclass
class ScoringServer:
    """What vLLM's `/v1/score` answers, with the scores of `score` or, where it is set, with `answer` whatever comes."""

    score: Score
    answer: tuple[int, bytes] | None = None
    delay: float = 0.0
    url: str = ""
    asked: list[dict[str, object]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)

    def reply(self, body: dict[str, object]) -> tuple[int, bytes]:
        if self.answer is not None:
            return self.answer
        queries, documents = body["text_1"], body["text_2"]
        assert isinstance(queries, list)
        assert isinstance(documents, list)
        scores = self.score(queries, documents)
        data = [{"index": index, "object": "score", "score": score} for index, score in enumerate(scores)]
        return 200, json.dumps({"id": "score-1", "object": "list", "model": body["model"], "data": data[::-1]}).encode()


@contextmanager
def scoring_server(score: Score) -> Iterator[ScoringServer]:
    made = ScoringServer(score)
    closing = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            made.asked.append({"path": self.path, **body})
            made.keys.append(self.headers.get("Authorization"))
            status, payload = made.reply(body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            step = 1 if made.delay else len(payload)
            for start in range(0, len(payload), step or 1):
                if closing.wait(made.delay):
                    return
                self.wfile.write(payload[start : start + step])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
