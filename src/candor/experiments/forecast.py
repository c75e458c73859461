"""``candor forecast``: what optimising a reward will do to a policy, from samples of the policy as it is."""

from __future__ import annotations

import math
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
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
from candor.pipeline.context import CHECKPOINT, device, model_source, prompts_that_fit
from candor.pipeline.forecast_samples import MissingEos, draw
from candor.pipeline.progress import Reporter, Silent
from candor.pipeline.sealed_forecast import spread_over_stances
from candor.pipeline.sources import audit_prompts, judges_fingerprint, model_fingerprint, opinions_known
from candor.recipe import ATLAS, PanelConfig
from candor.recipe_io import BASE, POLICY_TYPES
from candor.records import Prompt, to_json
from candor.report.checks import check_place
from candor.results.checks import Checked, checked
from candor.runs import content_key, read_json, read_manifest, stage_dirs
from candor.storage import disk_failures, replacing_file

KIND = "forecast"
BETAS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
KLS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
BEST_OF = (2, 4, 8, 16, 32, 64)
LEAST_SAMPLES = 128
"""Fewer per prompt leave a bias that does not average out (docs/forecast.md)."""

SAMPLES = "samples.npz"
"""What was drawn, with the key of what it was drawn from: one file, so that the two cannot come apart."""

_TOLD = ("key", "prompts", "clusters")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How samples are drawn. ``number``: of prompts, spread over stances and questions; None for all of a file.

    ``missing_eos``: what training does to the score of a reply that is cut off; None leaves it as it is.
    """

    prompts: str = ATLAS
    number: int | None = None
    samples: int = LEAST_SAMPLES
    temperature: float = 1.0
    max_new_tokens: int = 48
    missing_eos: MissingEos | None = None
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
    """Returns what optimising ``reward`` would make of ``policy``, from samples of it, and writes that to ``out``.

    Either may be a checkpoint or the directory of a run's stage. Samples are kept in ``out``, so that another grid of
    the same two models costs nothing. The two may have different tokenizers: replies are then scored as texts. Raises
    InputError for a model, a file or a grid that cannot be used.
    """
    tell, asked, began = tell or Silent(), asked or Asked(), time.monotonic()
    if asked.samples < LEAST_SAMPLES:
        fix = f"give {LEAST_SAMPLES} or more: with fewer the estimates are biased"
        raise InputError(f"{asked.samples} samples per prompt are too few", where="samples", fix=fix)
    for name, values in (("betas", betas), ("kls", kls), ("best-of", best_of)):
        for value in values:
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"{value:g} is not positive and finite", where=name)
    if not (betas or kls or best_of):
        raise InputError("nothing to forecast: no beta, no KL and no n", where="betas", fix="give one of the three")
    check_place(out, KIND)
    policy, reward = model_source(policy), model_source(reward)
    prompts = chosen_prompts(asked)
    samples = drawn(policy, reward, prompts, asked, out, tell)
    made = forecast(samples, betas=betas, kls=kls, best_of=best_of, target="population")
    facts = [
        ("policy", str(policy)),
        ("reward", str(reward)),
        ("prompts", f"{len(samples.prompts)} of {asked.prompts}, {len(set(samples.clusters))} questions"),
        (
            "samples",
            f"{samples.per_prompt} per prompt, temperature {asked.temperature:g}, up to {asked.max_new_tokens} tokens",
        ),
    ]
    if asked.missing_eos is not None:
        score, how = asked.missing_eos.score, {"replace": "scores", "subtract": "is scored with"}
        facts.append(("a reply that is cut off", f"{how[asked.missing_eos.how]} {score:g}, as in training"))
    return checked(
        KIND,
        str(Path(policy).parent) if Path(policy).name == CHECKPOINT else policy,
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


def drawn(policy: str, reward: str, prompts: Sequence[Prompt], asked: Asked, out: Path, tell: Reporter) -> Samples:
    """Returns the samples, drawn now or kept in ``out`` from an earlier forecast of the same models and prompts.

    Raises InputError where no prompt fits the policy.
    """
    key = content_key(
        {
            "policy": model_fingerprint(policy),
            "reward": model_fingerprint(reward),
            "prompts": to_json(prompts),
            "asked": to_json(asdict(asked)),
            "judges": judges_fingerprint(),
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
        raise InputError("no prompt fits the policy's context", where=policy, fix="lower max_new_tokens")
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
        missing_eos=asked.missing_eos,
    )
    _keep(out, key, found)
    return found


def _kept(out: Path, key: str) -> Samples | None:
    """The samples in ``out`` if they are of this key; None for others, and for a file that cannot be read."""
    if not (out / SAMPLES).is_file():
        return None
    try:
        with disk_failures(out / SAMPLES), (out / SAMPLES).open("rb") as handle, np.load(handle) as tables:
            if str(tables["key"]) != key:
                return None
            return Samples(
                prompts=tuple(map(str, tables["prompts"])),
                clusters=tuple(map(str, tables["clusters"])),
                rewards=tables["rewards"],
                statistics={name: tables[name] for name in tables.files if name not in (*_TOLD, "rewards")},
            )
    except (KeyError, ValueError, EOFError, zipfile.BadZipFile):
        return None  # not written here, or damaged: drawn anew


def _keep(out: Path, key: str, samples: Samples) -> None:
    tables: dict[str, Any] = {
        "key": np.array(key),
        "prompts": np.array(samples.prompts),
        "clusters": np.array(samples.clusters),
        "rewards": samples.rewards,
        **samples.statistics,
    }
    with disk_failures(out / SAMPLES), replacing_file(out / SAMPLES) as unfinished, unfinished.open("wb") as handle:
        np.savez_compressed(handle, **tables)


def pairs_of_run(run: Path) -> Iterator[tuple[str, str | Path]]:
    """Yields, by these names, the policy and the reward model that a run's first ppo stage starts from.

    In a run without one, its first reward model and the policy that this starts from. Raises InputError for a run in
    which one of the two is not finished.
    """
    found = {manifest.name: (place, manifest) for place in stage_dirs(run) if (manifest := read_manifest(place))}
    ppo = _first_ppo(run) or {}
    reward = next((name for name, (_, manifest) in found.items() if manifest.type == "reward"), None)
    reward = ppo.get("reward") or reward
    if reward not in found:
        raise InputError("the run has no finished reward stage", where=str(run), fix="give --policy and --reward")
    place, manifest = found[reward]
    policy = ppo.get("policy") or manifest.inputs.get("policy", {}).get("name", "")
    if policy not in found or found[policy][1].type not in POLICY_TYPES:
        raise InputError("the run's reward model starts from no policy of it", where=str(run), fix="give --policy")
    start, made = found[policy]
    yield "policy", str(made.config["path"]) if made.type == BASE else start / CHECKPOINT
    yield "reward", place / CHECKPOINT


def _first_ppo(run: Path) -> Mapping[str, Any] | None:
    """The fields of the run's first ppo stage; None without one. Raises InputError for a damaged file."""
    path = run / "recipe.resolved.json"
    if not path.is_file():
        return None
    raw = read_json(path)
    stages = raw.get("stages") if isinstance(raw, dict) else None
    if not isinstance(stages, list):
        raise InputError("this is no recipe", where=str(path), fix="run the recipe again in that directory")
    return next((stage for stage in stages if isinstance(stage, dict) and stage.get("type") == "ppo"), None)


def settings_of_run(run: Path) -> Mapping[str, Any]:
    """Returns how the run's first ppo stage samples and scores replies, as fields of :class:`Asked`; {} without one.

    Raises InputError for a damaged recipe.
    """
    stage = _first_ppo(run)
    if stage is None:
        return {}
    return {
        "temperature": stage["temperature"],
        "max_new_tokens": stage["max_new_tokens"],
        "missing_eos": MissingEos(how=stage["missing_eos"], score=stage["missing_eos_score"]),
    }
