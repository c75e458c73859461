"""The forecast of a ppo stage: made from the policy that it starts from, sealed before its first update."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from typing import Any

import numpy as np

from candor.errors import InputError
from candor.forecasting.forecast import forecast
from candor.forecasting.points import KL_MARGIN
from candor.forecasting.samples import Samples
from candor.generation import InProcessSampler
from candor.models.load import Policy, Reward
from candor.ops.randomness import step_seed
from candor.pipeline import sources
from candor.pipeline.context import Context, prompts_that_fit
from candor.pipeline.forecast_samples import MissingEos, measure_samples
from candor.pipeline.plan import Planned
from candor.pipeline.shaping import shaped_scorer
from candor.recipe import PPOStage
from candor.recipe_interventions import Constraint, EarlyStop
from candor.records import Prompt, to_json
from candor.runs import Work, write_json
from candor.runs.provenance import now
from candor.runs.sealed import FORECAST, digest, read_sealed

BETAS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Times the stage's own."""

KL_POINTS = 16
LEAST_KL = 0.02  # nats
BEST_OF = (2, 4, 8, 16, 32, 64)


def seal_forecast(
    stage: PPOStage, planned: Planned, work: Work, context: Context, policy: Policy, reward: Reward, *, done: int
) -> None:
    """Leaves ``forecast.json``, if it is not there yet and no update is ``done``; says what was sealed and its hash.

    The draws are the forecast's own: training draws the same with and without it. A forecast that is not what was
    sealed is made anew before the first update and thrown away after it.
    """
    if not stage.forecast_prompts or _sealed_before(planned, work, context, done):
        return
    why = _impossible(stage) or ("it has to be made before the first update" if done else "")
    if why:
        context.tell.note(f"{planned.name}: no forecast: {why}")
        return
    prompts = _prompts(stage, policy, context)
    if not prompts:
        context.tell.note(f"{planned.name}: no forecast: no prompt of the audit fits the model")
        return
    content = _content(stage, planned, _samples(stage, planned, context, policy, reward, prompts), prompts, work)
    content["digest"] = digest(content)
    write_json(work.path / FORECAST, content)
    context.tell.note(
        f"{planned.name}: forecast sealed before the first update, {stage.forecast_samples} samples to each of "
        f"{len(prompts)} prompts: sha256 {content['digest']}"
    )


def _impossible(stage: PPOStage) -> str:
    """Why samples of the policy that training starts from cannot show its optimum; empty where they can."""
    if any(isinstance(item, Constraint) for item in stage.interventions):
        return "a constraint's multiplier follows from training"
    if stage.reference not in (None, stage.policy):
        return f"its optimum lies about the reference, {stage.reference}, and not about the policy that it starts from"
    return ""


def _sealed_before(planned: Planned, work: Work, context: Context, done: int) -> bool:
    try:
        return read_sealed(work.path) is not None
    except InputError as error:
        then = "thrown away" if done else "made anew"
        context.tell.note(f"{planned.name}: {error}: {then}")
        (work.path / FORECAST).unlink()
        return False


def _prompts(stage: PPOStage, policy: Policy, context: Context) -> list[Prompt]:
    """Some of the audit's prompts: of the answer family where there is one, each stance by its share, hashed order."""
    every = sources.audit_prompts(context.recipe.audit.prompts)
    family = [prompt for prompt in every if prompt.tags.get("family") == "answer"] or list(every)
    asked = prompts_that_fit(policy, family, stage.max_new_tokens, context.tell.note)
    return spread_over_stances(asked, stage.forecast_prompts)


def spread_over_stances(prompts: Sequence[Prompt], number: int) -> list[Prompt]:
    """Returns ``number`` of the prompts (all where there are fewer), every stance with about its share, many questions.

    Of each stance questions come in the order of their hashes, one prompt each before any gets a second.
    """
    groups: dict[str, list[Prompt]] = defaultdict(list)
    for prompt in prompts:
        groups[prompt.claim.stance.value if prompt.claim is not None else ""].append(prompt)
    ranked: list[tuple[float, str, Prompt]] = []
    for stance, group in groups.items():
        seen: dict[str, int] = defaultdict(int)
        keyed = []
        for prompt in sorted(group, key=lambda p: sha256(p.id.encode()).hexdigest()):
            question = prompt.tags.get("question") or prompt.id
            keyed.append((seen[question], sha256(question.encode()).hexdigest(), prompt))
            seen[question] += 1
        keyed.sort(key=lambda item: item[:2])
        ranked += [((place + 0.5) / len(group), stance, prompt) for place, (_, _, prompt) in enumerate(keyed)]
    return [prompt for _, _, prompt in sorted(ranked, key=lambda item: item[:2])[:number]]


def _samples(
    stage: PPOStage, planned: Planned, context: Context, policy: Policy, reward: Reward, prompts: Sequence[Prompt]
) -> Samples:
    sampler = partial(
        InProcessSampler,
        tokenizer=policy.tokenizer,
        temperature=stage.temperature,
        max_new_tokens=stage.max_new_tokens,
        batch_size=context.recipe.model.sampling_rows,
        name=planned.name,
    )
    return measure_samples(
        context.sampler(policy.model, sampler),
        shaped_scorer(stage, planned, context, policy, reward),
        prompts,
        context.reader,
        context.panel(planned) if sources.opinions_known(prompts) else None,
        samples=stage.forecast_samples,
        seed=step_seed(context.seed, "ppo", "forecast"),
        tell=context.tell,
        name=f"{planned.name}: forecast",
        missing_eos=MissingEos(how=stage.missing_eos, score=stage.missing_eos_score),
    )


def _content(
    stage: PPOStage, planned: Planned, samples: Samples, prompts: Sequence[Prompt], work: Work
) -> dict[str, Any]:
    m = samples.per_prompt
    most = float(np.log(m)) - KL_MARGIN
    kls = np.geomspace(LEAST_KL, most, KL_POINTS).round(4).tolist() if most > LEAST_KL else []
    betas = [round(stage.kl_coef * times, 6) if times != 1.0 else stage.kl_coef for times in BETAS]
    made = forecast(
        samples,
        betas=betas if stage.kl_coef > 0 else (),
        kls=kls,
        best_of=[n for n in BEST_OF if 2 * n <= m],
        target="population",
    )
    return {
        "sealed_at": now(),
        "stage_key": work.key,
        "policy": planned.inputs["policy"].key,
        "kl_coef": stage.kl_coef,
        "kl_control": stage.kl_control,
        "temperature": stage.temperature,
        "updates": stage.updates,
        "asked": [prompt.id for prompt in prompts],
        "limits": list(_limits(stage)),
        **to_json(made),
    }


def _limits(stage: PPOStage) -> Sequence[str]:
    """What the forecast leaves out of account, in words."""
    said = []
    if any(isinstance(item, EarlyStop) for item in stage.interventions):
        said.append("Training may stop early, before it gets as far.")
    if stage.kl_control == "adaptive":
        said.append("The KL coefficient adapts: read the forecast by KL, not by beta.")
    if stage.ptx_coef > 0:
        said.append("Training also imitates demonstrations (PPO-ptx), which the forecast knows nothing of.")
    return said
