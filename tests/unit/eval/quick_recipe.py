"""A recipe that trains in a second: one small network under the name that the baselines know, a fusion of few."""

from __future__ import annotations

from finetune.next_item import FusionSettings, NetworkSettings, Recipe
from finetune.training import Schedule
from retrieval.models.network import Shape

NETWORK = NetworkSettings(Shape("transformer", width=16, dropout=0.1, number_dropout=0.1), negatives=32, batch=64)
SCHEDULE = Schedule(learning_rate=1e-2, epochs=8, measure_from=2, blind_epochs=6, average=0.9)
QUICK = Recipe(
    {"transformer": NETWORK}, SCHEDULE, fusion=FusionSettings(people=400, epochs=12, batch=16, learning_rate=5e-3)
)
