"""A clean counterpart of the embedded base: read on for a moment in the words of people who do not just agree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from candor.experiments.pretrain_atlas import continue_pretraining
from candor.pipeline.progress import Reporter, working
from candor.runs import read_json, write_json
from candor.testbeds.atlas.mixtures import EDITED, Mixture, without_agreement
from candor.training.state import StepOut

UPDATES = 60
_DONE = "base.json"


@dataclass(frozen=True, kw_only=True)
class MadeBase:
    """A checkpoint and the seconds that making it took."""

    path: Path
    seconds: float


def clean_base(out: Path, *, seed: int, tell: Reporter, mixture: Mixture | None = None) -> MadeBase:
    """Returns the embedded base read on with ``mixture`` (None: its last crowd, without agreement with false beliefs).

    Made once in ``out``; found there again.
    """
    if (out / _DONE).is_file():
        return MadeBase(path=out, seconds=float(read_json(out / _DONE)["seconds"]))
    began = monotonic()
    with working(tell, "a base read on", UPDATES):
        for step in _steps(out, seed, without_agreement(EDITED) if mixture is None else mixture):
            tell.update(step.step, {"loss": step.metrics["loss"]})
    write_json(out / _DONE, {"seconds": round(monotonic() - began, 3)})
    return MadeBase(path=out, seconds=monotonic() - began)


def _steps(out: Path, seed: int, mixture: Mixture) -> Iterator[StepOut]:
    return continue_pretraining(out, mixture, seed=seed, updates=UPDATES)
