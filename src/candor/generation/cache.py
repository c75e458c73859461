"""A key-value cache allocated once per batch; that of ``transformers`` grows by concatenation at every token."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import Cache, DynamicLayer


class PreallocatedLayer(DynamicLayer):
    """Keys and values (rows, heads, places, head_dim) of one layer: views into buffers of ``capacity`` places.

    Prompts are loaded right-aligned into the first ``prompt_length`` places, a few rows at a time; what lies to their
    left is 0 (masked, but NaN there would get through the mask). Then ``update`` appends places to every row.
    """

    def __init__(self, rows: int, prompt_length: int, capacity: int) -> None:
        super().__init__()
        self.rows, self.length, self.capacity = rows, prompt_length, capacity
        self._buffers: list[Tensor] = []

    def load(self, rows: Tensor, keys: Tensor, values: Tensor) -> None:
        """Puts the keys and values (len(rows), heads, places, head_dim) of prompts into ``rows``."""
        _, heads, places, width = keys.shape
        if not self._buffers:
            shape = (self.rows, heads, self.capacity)
            self._buffers = [keys.new_empty((*shape, width)), values.new_empty((*shape, values.shape[-1]))]
            for buffer in self._buffers:
                buffer[:, :, : self.length] = 0
            self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True
        for buffer, states in zip(self._buffers, (keys, values), strict=True):
            buffer[rows, :, self.length - places : self.length] = states
        self._view()

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Appends places to every row and returns views of all of them. Raises IndexError beyond the capacity."""
        start, self.length = self.length, self.length + key_states.shape[-2]
        if self.length > self.capacity:
            raise IndexError(f"the cache has room for {self.capacity} places, not {self.length}")
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, start : self.length] = states
        self._view()
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keeps the rows ``indices`` (no more than there are), moving them up within the buffers."""
        count = len(indices)
        for buffer in self._buffers:
            buffer[:count, :, : self.length] = buffer[:, :, : self.length].index_select(0, indices)
        self._buffers = [buffer[:count] for buffer in self._buffers]
        self._view()

    def get_seq_length(self) -> int:
        """Returns the number of places in use."""
        return self.length

    def _view(self) -> None:
        self.keys, self.values = (buffer[:, :, : self.length] for buffer in self._buffers)


class PreallocatedCache(Cache):
    """One :class:`PreallocatedLayer` per layer of ``model``."""

    def __init__(self, model: PreTrainedModel, rows: int, prompt_length: int, capacity: int) -> None:
        count = len(DynamicCache(config=model.config).layers)
        super().__init__(layers=[PreallocatedLayer(rows, prompt_length, capacity) for _ in range(count)])

    def load(self, rows: Tensor, prompts: Cache, sources: Tensor) -> None:
        """Puts row ``sources[i]`` of the cache of some prompts into row ``rows[i]``."""
        for layer, prompt in zip(self.layers, prompts.layers, strict=True):
            layer.load(rows, prompt.keys.index_select(0, sources), prompt.values.index_select(0, sources))


def is_plain(model: PreTrainedModel) -> bool:
    """Tells whether one ready-made mask serves every layer: all attend to every earlier place, positions are given.

    Sliding windows, linear attention and positions counted from the mask need what ``transformers`` does for them.
    """
    layers = DynamicCache(config=model.config).layers
    attention = getattr(model.config, "_attn_implementation", None)
    return bool(layers) and all(type(layer) is DynamicLayer for layer in layers) and attention in ("sdpa", "eager")
