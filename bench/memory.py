"""The largest resident memory of this process since a moment, on Linux; on a GPU, its allocator's own count."""

from __future__ import annotations

from pathlib import Path

import torch

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"


def _kilobytes(name: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name + ":"))
    return int(line.split()[1])


class PeakMemory:
    """Counts from its creation: ``mib()`` is the peak since then, less what was resident then."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
            return
        CLEAR.write_text(RESET_PEAK)
        self._before = _kilobytes("VmRSS")

    def mib(self) -> float:
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated() / 2**20
        return (_kilobytes("VmHWM") - self._before) / 1024
