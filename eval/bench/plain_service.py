"""What `bench search` is measured against: the search service that one writes first, from three manuals.

`SentenceTransformer` with its defaults, an exact FAISS index and a bare FastAPI route, under plain
`uvicorn eval.bench.plain_service:app`. Finds by meaning alone: no words, filters, reasons or changes. `PLAIN_FOLDER`
holds `products.json` (a list of dictionaries) and `vectors.npy` (float32, one row each); `PLAIN_MODEL` is the model.

The service is made on import, as its like are; nothing else imports it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import faiss
import numpy as np
from fastapi import FastAPI
from sentence_transformers import SentenceTransformer

folder = Path(os.environ["PLAIN_FOLDER"])
products = json.loads((folder / "products.json").read_text())
model = SentenceTransformer(os.environ["PLAIN_MODEL"])
index = faiss.IndexFlatIP(model.get_embedding_dimension())
index.add(np.load(folder / "vectors.npy"))
app = FastAPI()


@app.get("/search")
def search(q: str, limit: int = 10) -> dict[str, object]:
    scores, rows = index.search(model.encode([q]), limit)
    found = [{"product": products[row], "score": float(score)} for row, score in zip(rows[0], scores[0], strict=True)]
    return {"query": q, "items": found}
