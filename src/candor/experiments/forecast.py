"""``candor forecast``: what optimising a reward will do to a policy, from samples of the policy as it is."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from candor.annotators.panel import Panel
from candor.datafiles import read_prompts
from candor.errors import InputError
from candor.experiments.forecast_checks import checks
from candor.forecasting.forecast import forecast
from candor.forecasting.samples import Samples
from candor.generation.sampler import Settings
from candor.lexical.agreement import LexicalAgreement
from candor.models.load import load_policy, load_reward
from candor.pipeline.context import device, prompts_that_fit
from candor.pipeline.forecast_samples import draw
from candor.pipeline.progress import Reporter, Silent
from candor.pipeline.sealed_forecast import spread_over_stances
from candor.pipeline.sources import audit_prompts, model_fingerprint, opinions_known
from candor.recipe import ATLAS, PanelConfig
from candor.records import Prompt
from candor.report.checks import check_place
from candor.results.checks import Checked, checked
from candor.runs import content_key, read_json, write_json
from candor.storage import writing

KIND = "forecast"
BETAS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
KLS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
BEST_OF = (2, 4, 8, 16, 32, 64)
LEAST_SAMPLES = 128
"""Fewer per prompt leave a bias that does not average out (docs/forecast.md)."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How samples are drawn. ``number``: of prompts, spread over stances and questions; None for all of a file."""

    prompts: str = ATLAS
    number: int | None = None
    samples: int = LEAST_SAMPLES
    temperature: float = 1.0
    max_new_tokens: int = 48
    seed: int = 0


def forecast_policy(
    policy: str | Path,
    reward: str | Path,
    out: Path,
    *,
    asked: Asked | None = None,
    betas: Sequence[float] = BETAS,
    kls: Sequence[float] = KLS,
    best_of: Sequence[int] = BEST_OF,
    tell: Reporter | None = None,
) -> Checked:
    """Draws samples of ``policy``, scores them with ``reward`` and writes what optimisation would bring to ``out``.

    Samples are kept there, so that another grid of the same two models costs nothing. The two may have different
    tokenizers: replies are scored as texts. Raises InputError for a model, a file or a grid that cannot be used.
    """
    tell, asked, began = tell or Silent(), asked or Asked(), time.monotonic()
    if asked.samples < LEAST_SAMPLES:
        fix = f"give {LEAST_SAMPLES} or more: with fewer the estimates are biased"
        raise InputError(f"{asked.samples} samples per prompt are too few", where="samples", fix=fix)
    for name, values in (("betas", betas), ("kls", kls), ("best-of", best_of)):
        if any(value <= 0 for value in values):
            raise InputError(f"{min(values):g} is not positive", where=name)
    check_place(out, KIND)
    prompts = chosen_prompts(asked)
    samples = drawn(policy, reward, prompts, asked, out, tell)
    made = forecast(samples, betas=betas, kls=kls, best_of=best_of, target="population")
    facts = [
        ("policy", str(policy)),
        ("reward", str(reward)),
        ("prompts", f"{len(samples.prompts)} of {asked.prompts}, {len(set(samples.clusters))} questions"),
        ("samples", f"{samples.per_prompt} per prompt, temperature {asked.temperature:g}"),
    ]
    return checked(
        KIND,
        str(policy),
        checks(made, asked.seed),
        seed=asked.seed,
        data={"facts": [list(fact) for fact in facts]},
        seconds=time.monotonic() - began,
        out=out,
    )


def chosen_prompts(asked: Asked) -> list[Prompt]:
    """Returns the prompts to sample: of Atlas's held-out answer family, or of a file. Raises InputError without any."""
    if asked.prompts == ATLAS:
        family = [prompt for prompt in audit_prompts(ATLAS) if prompt.tags.get("family") == "answer"]
        return spread_over_stances(family, asked.number or 200)
    every = list(read_prompts(asked.prompts).prompts)
    if not every:
        raise InputError("no prompt in it", where=asked.prompts, fix="give JSON lines with a prompt each")
    return every if asked.number is None else spread_over_stances(every, asked.number)


def drawn(
    policy: str | Path, reward: str | Path, prompts: Sequence[Prompt], asked: Asked, out: Path, tell: Reporter
) -> Samples:
    """Returns the samples, drawn now or kept in ``out`` from an earlier forecast of the same models and prompts."""
    key = content_key(
        {
            "policy": model_fingerprint(str(policy)),
            "reward": model_fingerprint(str(reward)),
            "prompts": [[message.content for message in prompt.messages] for prompt in prompts],
            "asked": [asked.samples, asked.temperature, asked.max_new_tokens, asked.seed],
        }
    )
    kept = _kept(out, key)
    if kept is not None:
        tell.note(f"samples of an earlier forecast in {out} are used again")
        return kept
    learner, judge = load_policy(policy), load_reward(reward)
    for model in (learner.model, judge.model):
        model.to(device())
    fitting = prompts_that_fit(learner, prompts, asked.max_new_tokens, tell.note)
    if not fitting:
        raise InputError("no prompt fits the policy's context", where=str(policy), fix="lower --max-new-tokens")
    from candor.testbeds.atlas.parser import read_reply

    known = opinions_known(fitting)
    found = draw(
        learner,
        Settings(temperature=asked.temperature, max_new_tokens=asked.max_new_tokens, greedy=False),
        judge,
        fitting,
        read_reply,
        Panel(PanelConfig(), read_reply) if known and asked.prompts == ATLAS else None,
        samples=asked.samples,
        seed=asked.seed,
        tell=tell,
        agreement=None if known else LexicalAgreement(),
    )
    _keep(out, key, found)
    return found


def _kept(out: Path, key: str) -> Samples | None:
    places = out / "samples.json", out / "samples.npz"
    if not all(place.is_file() for place in places):
        return None
    told = read_json(places[0])
    if told.get("key") != key:
        return None
    with np.load(places[1]) as tables:
        statistics = {name: tables[name] for name in tables.files if name != "rewards"}
        return Samples(
            prompts=tuple(told["prompts"]),
            clusters=tuple(told["clusters"]),
            rewards=tables["rewards"],
            statistics=statistics,
        )


def _keep(out: Path, key: str, samples: Samples) -> None:
    """The tables first, then what says whose they are."""
    out.mkdir(parents=True, exist_ok=True)
    with writing(out / "samples.npz"):
        tables: dict[str, Any] = {"rewards": samples.rewards, **samples.statistics}
        np.savez_compressed(out / "samples.npz", **tables)
    told: Mapping[str, object] = {"key": key, "prompts": list(samples.prompts), "clusters": list(samples.clusters)}
    write_json(out / "samples.json", told)


def pairs_of_run(run: Path) -> Iterator[tuple[str, Path]]:
    """Yields the checkpoints that a run's first ppo stage starts from: ``policy`` and ``reward``.

    Raises InputError for a run without a finished reward stage.
    """
    from candor.pipeline.context import CHECKPOINT
    from candor.runs import read_manifest, stage_dirs

    found = {manifest.name: (place, manifest) for place in stage_dirs(run) if (manifest := read_manifest(place))}
    reward = next((name for name, (_, manifest) in found.items() if manifest.type == "reward"), None)
    if reward is None:
        raise InputError("the run has no finished reward stage", where=str(run), fix="give --policy and --reward")
    place, manifest = found[reward]
    policy = manifest.inputs.get("policy", {}).get("name", "")
    if policy not in found or found[policy][1].type not in ("sft", "ppo"):
        raise InputError("the run's reward model starts from no policy of it", where=str(run), fix="give --policy")
    yield "policy", found[policy][0] / CHECKPOINT
    yield "reward", place / CHECKPOINT
