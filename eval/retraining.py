"""A model in the place of one that learned from somebody who is gone: trained as its card says, without that person.

Takes the card, gives the id of the new entry, which is live where it is not behind what is. Knows nobody's id.
"""

from __future__ import annotations

from dataclasses import fields

from eval.beginnings import standing_base
from eval.forecast_training import ForecastTrainingAsked, train_shop_forecast
from eval.llm_training import LlmTrainingAsked, tasks_of, train_language_model
from eval.lora_entry import Hearing
from eval.next_item_training import TrainingAsked, train_next_item
from eval.search_training import SearchTrainingAsked, train_for_search
from finetune.lora.settings import KINDS, LoraSettings
from retrieval.model_card import ModelCard
from tasteline.settings import Settings


def trained_anew(card: ModelCard, settings: Settings, hearing: Hearing) -> str | None:
    """None for a model that learned from what the store does not have.

    Raises InvalidInput where the store has too little left to learn from.
    """
    if card.kind == "offers":
        return None
    if card.kind == "forecast":
        return train_shop_forecast(ForecastTrainingAsked(seed=card.seed), settings, hearing.told)[1].id
    if card.kind == "next-item":
        asked = TrainingAsked(seed=card.seed)
        return train_next_item(asked, settings, hearing.told, hearing.epoch, hearing.embedding)[1].id
    # The name of the published base stands for the settings, which say where it is.
    base = standing_base(settings.home, card)
    base = None if base in (settings.embedder_model, settings.language_model_name) else base
    assignments, said = _assignments(card, KINDS[card.kind]), card.settings
    if card.kind == "llm":
        tasks = tasks_of(str(said["tasks"]) if "tasks" in said else None)
        rows = int(said.get("rows") or card.data.events)
        chats = LlmTrainingAsked(base=base, assignments=assignments, tasks=tasks, rows=rows, seed=card.seed)
        return train_language_model(chats, settings, hearing)[1].id
    defaults = SearchTrainingAsked(card.kind)
    search = SearchTrainingAsked(
        card.kind,
        base=base,
        assignments=assignments,
        each=int(said.get("each") or defaults.each),
        questions=int(said.get("questions") or defaults.questions),
        next_items=bool(said.get("next_items")),
        seed=card.seed,
    )
    return train_for_search(search, settings, hearing)[1].id


def _assignments(card: ModelCard, job: type[LoraSettings]) -> tuple[str, ...]:
    """The job's settings as a command line says them."""
    known = [field.name for field in fields(job)]
    written = {name: card.settings[name] for name in known if name in card.settings}
    return tuple(f"{name}={'none' if value is None else value}" for name, value in written.items() if name != "seed")
