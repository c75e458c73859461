"""How many tokens a model can read."""

from __future__ import annotations

from torch import nn


def window(model: nn.Module) -> int | None:
    """Returns the number of places in the model's context; None where its configuration sets no limit.

    RoBERTa and its kin count positions from the pad token's id upwards: so many rows of their table are never used.
    """
    config = model.config.get_text_config()  # type: ignore[operator, union-attr]
    places = getattr(config, "max_position_embeddings", None)
    if places is None:
        return None
    tables = (m for name, m in model.named_modules() if name.endswith("position_embeddings"))
    unused = [m.padding_idx + 1 for m in tables if isinstance(m, nn.Embedding) and m.padding_idx is not None]
    return int(places) - (unused[0] if unused else 0)


def within(model: nn.Module, max_length: int) -> int:
    """Returns ``max_length``, or the model's window where that is shorter."""
    places = window(model)
    return max_length if places is None else min(max_length, places)
