"""Key-value caches whose rows can be taken out, copied and reordered."""

from __future__ import annotations

from typing import Any

from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer


def selectable_cache(model: Any) -> DynamicCache | None:
    """A key-value cache whose rows can be chosen, or None for models that remember in another way."""
    if not model._supports_default_dynamic_cache():
        return None
    cache = DynamicCache(config=model.config.get_text_config(decoder=True))
    plain = all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers)
    return cache if plain else None
