"""docs/alarms.md names every alarm and the thresholds of the code; docs/recipes.md the errors of a run."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from candor import api, storage
from candor.errors import InputError, NotFiniteError
from candor.models import hub
from candor.pipeline import loop
from candor.pipeline.progress import Silent
from candor.pipeline.watch import Watch
from candor.recipe import SFTStage
from candor.runs import RunStore, Work, locked
from candor.storage import writing
from candor.training import alarms
from candor.training.alarms import Watched
from candor.training.state import StepOut, TrainState, adamw, apply_update

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "alarms.md").read_text(encoding="utf-8")


def short(number: float) -> str:
    return f"{number:g}".removeprefix("0")


def thresholds() -> dict[str, list[str]]:
    """What each row has to say, from the constants of the code."""
    a = alarms
    windows = f"Over {a.TREND_WINDOWS[0]}, {a.TREND_WINDOWS[1]} or {a.TREND_WINDOWS[2]} updates"
    assert a.ENTROPY_SHARE == 0.25, "a quarter"
    return {
        "not_finite": ["The run stops"],
        "kl_negative": [f"{a.KL_ERRORS:g} standard errors", f"{short(a.KL_FLOOR)} nats", f"{a.KL_UPDATES} updates"],
        "ratio_off": [f"more than {short(a.RATIO)} ({short(a.RATIO_HALF)} where"],
        "eos_never": [f"{a.EOS_RATE:.0%} of", f"{a.EOS_UPDATES} updates in a row"],
        "length_runaway": [f"last {a.LENGTH_START} ", f"{a.LENGTH_RATIO:g} times", f"{a.LENGTH_ERRORS:g} standard"],
        "entropy_collapse": ["a quarter", f"first {a.ENTROPY_START}"],
        "overoptimisation": [windows, f"beyond {a.TREND_T:g}"],
        "sycophancy": [f"t beyond {a.APPROVAL_T:g}"],
        "loss_spike": [f"{a.LOSS_SPIKE:g} times", f"the {a.SPIKE_WINDOW} updates", f"{a.SPIKE_SPREADS:g} robust"],
        "grad_spike": [f"{a.GRAD_SPIKE:g} times"],
        "reward_at_chance": [f"{a.CHANCE_UPDATES} at the least"],
        "value_stuck": [f"{a.VALUE_UPDATES} updates in a row"],
    }


def problems(text: str) -> list[str]:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*)$", text, re.MULTILINE))
    known = thresholds()
    wrong = [f"{name}: not documented" for name in known if name not in rows]
    wrong += [f"{name}: does not exist" for name in rows if name not in known]
    wrong += [f"{name}: {words!r}" for name in rows for words in known.get(name, ()) if words not in rows[name]]
    return wrong + ([] if f"after {alarms.QUIET} updates in a row without" in text else ["how alarms clear"])


def test_every_alarm_stands_in_the_docs_with_its_thresholds() -> None:
    assert {rule.__name__ for rule in alarms.RULES} | {"not_finite"} == set(thresholds())
    assert problems(TEXT) == []
    broken = TEXT.replace("`eos_never`", "`no_eos`").replace("t beyond 2", "t beyond 3")
    assert problems(broken) == ["eos_never: not documented", "no_eos: does not exist", "sycophancy: 't beyond 2'"]


class Diverging:
    """A stage of one small layer whose seventh update has a gradient that is NaN."""

    def __init__(self, work: Work) -> None:
        layer = nn.Linear(40, 50, bias=False)
        self.state = TrainState(models={"policy": layer}, optimizers={"policy": adamw([layer], lr=0.5)})
        self.work = work
        config = SFTStage(name="sft", lr=0.5, checkpoint_every=2)
        self.watch = Watch(Watched(stage="sft", config=config, total=10))

    def steps(self) -> Iterator[StepOut]:
        (weight,) = self.state.models["policy"].parameters()
        while True:
            weight.grad = torch.full_like(weight, float("nan") if self.state.step == 6 else 1e-3)
            apply_update(self.state.optimizers["policy"], lr=1e-3, max_grad_norm=1.0)
            self.state.step += 1
            yield StepOut(step=self.state.step, metrics={"loss": 1.0})

    def run(self) -> None:
        loop.consume(self.steps(), state=self.state, work=self.work, watch=self.watch, tell=Silent())


def told(action: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        action()
    return str(caught.value)


def second_process(run: Path) -> None:
    with locked(run):
        holder = {"pid": 4711, "host": "lab-3", "since": "2026-11-25T20:00:00+00:00"}
        (run / ".lock").write_text(json.dumps(holder))
        with locked(run):
            pass


def failing(place: Path, number: int) -> None:
    with writing(place):
        raise OSError(number, "")


def told_by_runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Each error of docs/recipes.md, brought about."""
    run = Path("runs/mine")
    store = RunStore(run)
    work = store.open(store.stage_path(1, "sft"), "k", name="sft")
    yield told(lambda: second_process(run))
    monkeypatch.setattr(storage, "free_bytes", lambda _: 1_200_000)
    yield told(lambda: failing(run / "stages/01-sft/state/state.pt", errno.ENOSPC))
    monkeypatch.setattr(loop, "free_bytes", lambda _: 10_000)
    yield told(Diverging(work).run)
    monkeypatch.setattr(loop, "free_bytes", lambda _: 10**9)
    yield told(lambda: failing(run / ".lock", errno.EROFS))
    yield told(lambda: failing(run, errno.EACCES))
    yield told(Diverging(work).run)

    def no_such_model(*_: object, **__: object) -> None:
        raise ValueError("404")

    monkeypatch.setattr("huggingface_hub.is_offline_mode", lambda: False)
    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", no_such_model)
    yield told(lambda: hub.check_hub_name("modle"))
    yield told(lambda: api.prepare(seed=-1))


def test_the_errors_of_a_run_are_told_verbatim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (shown,) = re.findall(
        r"^```text run errors\n(.*?)^```$", (DOCS / "recipes.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert list(told_by_runs(monkeypatch)) == shown.splitlines()


def test_a_reward_that_is_no_number_keeps_its_own_advice(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "run")
    stage = Diverging(store.open(store.stage_path(1, "sft"), "k", name="sft"))

    def steps() -> Iterator[StepOut]:
        raise NotFiniteError("the scorer gave nan", where="prompt p", fix="check the reward model")
        yield

    stage.steps = steps  # type: ignore[method-assign]
    with pytest.raises(
        InputError, match=r"sft, update 1: the scorer gave nan \(prompt p\); likely .* broken \(check the"
    ):
        stage.run()
