"""Peak memory of a stage, not of the process: the kernel's high-water mark is set back when a stage begins.

Source: proc(5), ``/proc/pid/clear_refs`` (writing 5 resets VmHWM) and ``/proc/pid/status``.
"""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
MIB = 1024 * 1024

Scope = Literal["stage", "process"]


@dataclass(frozen=True, kw_only=True)
class Peak:
    """``host_mb``: highest resident memory, MiB. ``device_mb``: highest allocated by torch on its CUDA device.

    ``scope`` is what ``host_mb`` covers: the stage, or the whole process up to now where the mark cannot be set back.
    """

    host_mb: float
    device_mb: float | None
    scope: Scope

    def highest(self, earlier: Peak | None) -> Peak:
        """The higher of two attempts at one stage; it covers a stage only where both do."""
        if earlier is None:
            return self
        device = [mb for mb in (self.device_mb, earlier.device_mb) if mb is not None]
        return Peak(
            host_mb=max(self.host_mb, earlier.host_mb),
            device_mb=max(device) if device else None,
            scope="stage" if self.scope == earlier.scope == "stage" else "process",
        )


def reset_peak() -> Scope:
    """Sets the high-water marks back to what is in use now, and says what they will cover from here on."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()
    try:
        _CLEAR.write_text("5")
    except OSError:
        return "process"
    return "stage" if _high_water_mark() is not None else "process"


def peak(scope: Scope) -> Peak:
    """Reads the marks; ``scope`` is what :func:`reset_peak` said."""
    torch = sys.modules.get("torch")
    cuda = torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized()
    device = round(torch.cuda.max_memory_allocated() / MIB, 1) if torch is not None and cuda else None
    mark = _high_water_mark() if scope == "stage" else None
    if mark is None:
        return Peak(host_mb=_of_process(), device_mb=device, scope="process")
    return Peak(host_mb=mark, device_mb=device, scope="stage")


def _high_water_mark() -> float | None:
    try:
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return round(int(line.split()[1]) / 1024, 1)
    except (OSError, StopIteration, ValueError, IndexError):
        return None


def _of_process() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(used / (MIB if sys.platform == "darwin" else 1024), 1)
