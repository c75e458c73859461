"""The audit of one policy: sampled and greedy replies to held-out prompts, measured and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

import numpy as np

from candor.audits.observations import Observation, rows
from candor.audits.policy import PolicyAudit
from candor.audits.tallies import MEAN, Estimate, Resampling, Tally
from candor.errors import InputError
from candor.generation import InProcessSampler
from candor.jsonl import write_rows
from candor.models.load import Policy
from candor.models.replies import row_logprobs, sampled_rows
from candor.models.scorer import RewardScorer
from candor.ops.randomness import step_seed
from candor.pipeline import sources
from candor.pipeline.context import Context, prompts_that_fit
from candor.pipeline.plan import VERSIONS, Planned, audit_key, reference_of
from candor.pipeline.progress import working
from candor.recipe import PPOStage
from candor.records import Completion, Finding, Prompt, to_json
from candor.runs import Work
from candor.runs.store import AUDIT

SUBJECTS = ("sampled", "greedy")


def run_audit(planned: Planned, context: Context) -> Work:
    """Leaves ``findings.jsonl`` and ``samples.jsonl`` in the stage's ``audit/``, unless they are there already."""
    directory = context.directory(planned) / AUDIT
    key = audit_key(planned, context.recipe, context.plan)
    work = context.store.open(directory, key, name=planned.name)
    if work.done:
        return work
    with working(context.tell, f"{planned.name} audit"):
        findings, observations = _measure(planned, context)
        write_rows(directory / "samples.jsonl", rows(observations))
        write_rows(directory / "findings.jsonl", (to_json(finding) for finding in findings))
    inputs = {"policy": {"name": planned.name, "key": planned.key}}
    reference = reference_of(planned)
    if reference is not None:
        inputs["reference"] = {"name": reference.name, "key": reference.key}
    work.finish(
        name=planned.name,
        type=AUDIT,
        version=VERSIONS[AUDIT],
        seed=context.seed,
        config=context.recipe.audit.model_dump(mode="json"),
        inputs=inputs,
    )
    return work


def some_questions(prompts: Sequence[Prompt], number: int | None) -> list[Prompt]:
    """All prompts of ``number`` questions, drawn by a hash of their names: adding questions never moves the others."""
    if number is None:
        return list(prompts)
    names = {prompt.tags.get("question") or prompt.id for prompt in prompts}
    drawn = set(sorted(names, key=lambda name: sha256(name.encode()).hexdigest())[:number])
    return [prompt for prompt in prompts if (prompt.tags.get("question") or prompt.id) in drawn]


def _measure(planned: Planned, context: Context) -> tuple[list[Finding], list[Observation]]:
    config = context.recipe.audit
    policy = context.policy(planned)
    prompts = some_questions(sources.audit_prompts(config.prompts), config.num_questions)
    prompts = prompts_that_fit(policy, prompts, config.max_new_tokens, context.tell.note)
    if not prompts:
        raise InputError("no prompt fits the model", where=f"{planned.name} audit")
    panel = context.panel(planned) if sources.opinions_known(prompts) else None
    audit = PolicyAudit(
        reader=context.reader,
        approval=None if panel is None else panel.approval,
        helpfulness=None if panel is None else panel.helpfulness,
        bootstrap=config.bootstrap,
    )
    replies: dict[str, list[Completion]] = {}
    for subject in SUBJECTS:
        greedy = subject == "greedy"
        sampler = InProcessSampler(
            policy.model,
            policy.tokenizer,
            temperature=config.temperature,
            max_new_tokens=config.max_new_tokens,
            greedy=greedy,
            batch_size=context.recipe.model.sampling_rows,
            name=planned.name,
        )
        seed = step_seed(context.seed, "audit", subject)
        replies[subject] = sampler.sample(prompts, n=1 if greedy else config.samples, seed=seed)
    policy.model.to("cpu")  # makes room on an accelerator: only one model is needed at a time
    observations: list[Observation] = []
    for subject, written in replies.items():
        ratios = _logprobs(planned, policy, prompts, written, context) if subject == "sampled" else {}
        observations += audit.observe(prompts, written, subject=subject, **ratios)
    findings = audit.findings(observations, seed=context.seed, stage=planned.name)
    return findings + _reward_findings(planned, prompts, replies["sampled"], context), observations


def _logprobs(
    planned: Planned, policy: Policy, prompts: Sequence[Prompt], replies: Sequence[Completion], context: Context
) -> dict[str, list[float]]:
    """Log-probabilities of sampled replies under the policy and its reference; nothing for the base, which has none."""
    against = reference_of(planned)
    if against is None:
        return {}
    reference = context.policy(against)
    by_id = {prompt.id: prompt for prompt in prompts}
    given = sampled_rows(policy.tokenizer, [by_id[reply.prompt_id] for reply in replies], replies)
    found = row_logprobs(reference, given, context.recipe.audit.temperature)
    return {"logp_policy": [float(sum(r.logprobs)) for r in replies], "logp_reference": found}


def _reward_findings(
    planned: Planned, prompts: Sequence[Prompt], replies: Sequence[Completion], context: Context
) -> list[Finding]:
    """The mean score of the sampled replies under the reward model that the policy was trained with, if any."""
    source = planned.inputs.get("reward")
    if source is None or not isinstance(planned.stage, PPOStage):
        return []
    reward = context.reward(source)
    scorer = RewardScorer(reward.model, reward.tokenizer, planned.stage.max_length, reward.offset)
    by_id = {prompt.id: prompt for prompt in prompts}
    asked = [by_id[reply.prompt_id] for reply in replies]
    scores = scorer.score(asked, replies)
    counted = [(p.tags.get("question") or p.id, (score, 1.0)) for p, score in zip(asked, scores, strict=True)]
    resampling = Resampling(seed=context.seed, resamples=context.recipe.audit.bootstrap)
    estimate = resampling.estimate(Tally.of(counted, 2), MEAN)
    details = {"reward_model": source.name, "sd": float(np.std(scores)), "prompts_cut": scorer.truncation.cut}
    found = finding(estimate, probe="policy", stage=planned.name, subject="sampled", metric="reward", seed=context.seed)
    return [replace(found, details={**found.details, **details})]


def finding(estimate: Estimate, *, probe: str, stage: str, subject: str, metric: str, seed: int) -> Finding:
    """An estimate as a finding; one without a number says that nothing was there to measure."""
    interval = estimate.interval
    details = dict(estimate.details) | {"clusters": estimate.clusters}
    return Finding(
        probe=probe,
        stage=stage,
        subject=subject,
        metric=metric,
        estimate=estimate.estimate,
        ci_low=None if interval is None else interval.low,
        ci_high=None if interval is None else interval.high,
        n=estimate.n,
        seed=seed,
        details=details if estimate.estimate is not None else details | {"not_measured": "nothing to measure"},
    )
