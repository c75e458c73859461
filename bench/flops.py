"""Floating-point operations of a step as executed, padding included, and the machine's peak in matrix products."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

aten = torch.ops.aten


def _attention(query_shape, key_shape, value_shape, *args, out_shape=None, **kwargs) -> int:
    return sdpa_flop_count(query_shape, key_shape, value_shape)


def _attention_backward(grad_shape, query_shape, key_shape, value_shape, *args, out_shape=None, **kwargs) -> int:
    return sdpa_backward_flop_count(grad_shape, query_shape, key_shape, value_shape)


CPU_ATTENTION = {  # torch counts the kernels of accelerators only
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}


def counter() -> FlopCounterMode:
    """Counts, as a context, the operations of all matrix products and attention in this thread, 2 per multiply-add.

    Attention counts every pair of places, whatever the mask leaves of them: that is what the kernels are given.
    """
    return FlopCounterMode(display=False, custom_mapping=CPU_ATTENTION)


def counted(work: Callable[[], object]) -> int:
    """Returns the operations of ``work``."""
    with counter() as counting:
        work()
    return counting.get_total_flops()


def matmul_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Returns the best rate of square matrix products over a few sizes, in operations per second."""
    sizes = (512, 1024, 2048) if device.type == "cpu" else (4096, 8192)
    return max(_matmul_rate(size, device, dtype) for size in sizes)


def _matmul_rate(size: int, device: torch.device, dtype: torch.dtype) -> float:
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    fastest = float("inf")
    for _ in range(12):
        started = time.perf_counter()
        left @ right
        if device.type == "cuda":
            torch.cuda.synchronize()
        fastest = min(fastest, time.perf_counter() - started)
    return 2 * size**3 / fastest
