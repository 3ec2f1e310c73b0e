"""The demo shop: a catalogue and shoppers that we made up, the same for the same seed in every process.

`products`, `shoppers` and `events` are composed by small programs over the hand-written words in `vocabulary/`;
`featured` are the people whom the page offers by name. Nothing here reads the network or knows the service.

>>> from datetime import UTC, datetime
>>> catalogue, people = products(), shoppers()
>>> next(events(catalogue, people, end=datetime(2025, 6, 1, tzinfo=UTC))).id
'e000001'
"""

from eval.demo_shop.catalogue import products
from eval.demo_shop.people import Phase, Shopper, featured, shoppers
from eval.demo_shop.visits import events

__all__ = ["Phase", "Shopper", "events", "featured", "products", "shoppers"]
