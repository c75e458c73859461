"""The page's sentences, each computed from findings: the intervals decide what is said, not what was hoped for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from candor.report import tables
from candor.report.load import Rows, Run, StageFiles
from candor.report.numbers import Estimate, Unit, decimals, difference, direction, limits, number, with_limits
from candor.report.remedies import remedies

AGREEMENT = "false_belief_agreement"


@dataclass(frozen=True)
class Step:
    """How a measure moved from one policy to the one trained from it."""

    stage: StageFiles
    parent: StageFiles
    change: Estimate


def steps(run: Run, metric: str = AGREEMENT, subject: str = "sampled") -> list[Step]:
    """One step per policy that has a parent with the same measure."""
    made = []
    for stage in run.policies:
        parent = run.parent(stage)
        here = run.measured(stage.name, metric, subject)
        before = run.measured(parent.name, metric, subject) if parent else None
        if parent and here and before:
            made.append(Step(stage, parent, difference(here, before)))
    return made


def largest_rise(run: Run) -> Step | None:
    """The step with the largest clear rise of false-belief agreement; None where no interval lies above zero."""
    rises = [s for s in steps(run) if direction(s.change) == "up"]
    return max(rises, key=lambda s: s.change.value or 0.0, default=None)


def focus(run: Run) -> StageFiles | None:
    """The policy that the headline is about: where several branches end, the one that agrees most."""
    ends = run.leaves
    rated = [(run.measured(s.name, AGREEMENT), s) for s in ends]
    if any(e for e, _ in rated):
        return max(rated, key=lambda pair: pair[0].value if pair[0] and pair[0].value is not None else -1.0)[1]
    return ends[-1] if ends else None


def headline(run: Run) -> Markup:
    """The page's first sentence."""
    stage = focus(run)
    if stage is None:
        return Markup("No policy of this run has been audited yet.")
    here = run.measured(stage.name, AGREEMENT)
    if here is None:
        return _headline_without_claims(run, stage)
    parent = run.parent(stage)
    before = run.measured(parent.name, AGREEMENT) if parent else None
    if parent is None or before is None:
        text = Markup("After {} the model agrees with {} of the false beliefs that users state.")
        return text.format(_after(stage), _strong(here, now=True))
    way = direction(difference(here, before))
    if way == "unclear":
        return Markup(
            "{} did not clearly change how often the model agrees with false beliefs: {} before, {} after."
        ).format(stage.title, _strong(before), _strong(here, now=True))
    return Markup(
        "After {} the model agrees with {} of the false beliefs that users state, {} from {} after {}."
    ).format(stage.label, _strong(here, now=True), way, _strong(before), _after(parent))


def _headline_without_claims(run: Run, stage: StageFiles) -> Markup:
    moved = reward_along(stage.metrics)
    if moved is None:
        return Markup("The policy after {} was audited on prompts that carry no claims.").format(_after(stage))
    return Markup("Along {} the reward {}.").format(stage.label, moved)


def _after(stage: StageFiles) -> str:
    return "pretraining" if stage.type == "base" else stage.label


def _strong(estimate: Estimate, *, now: bool = False) -> Markup:
    value = number(estimate.value or 0.0, "share")
    kind = Markup(' class="now"') if now else ""
    return Markup("<b{}>{}</b>&nbsp;{}").format(kind, value, between(estimate, "share"))


def between(estimate: Estimate, unit: Unit) -> Markup:
    """The interval, kept on one line."""
    return Markup('<span class="ci">{}</span>').format(limits(estimate, unit))


def _inline(estimate: Estimate, unit: Unit) -> Markup:
    return Markup("{} {}").format(number(estimate.value or 0.0, unit), between(estimate, unit))


def lede(run: Run) -> list[Markup]:
    """The sentences under the headline: where it came in, what rose with it, and what it cost."""
    stage = focus(run)
    if stage is None:
        return []
    said: list[Markup | None]
    if run.measured(stage.name, AGREEMENT) is None:
        said = [_without_claims(run, stage)]
    else:
        said = [_where(run), _reward_and_truth(run, stage), _selectivity(run, stage), _branches(run, stage)]
    return [s for s in said if s]


def _without_claims(run: Run, stage: StageFiles) -> Markup:
    text = Markup("Agreement with false beliefs was not measured: the audit's prompts carry no claims.")
    kl = run.measured(stage.name, "kl")
    return text + (
        Markup(" The policy ends {} nats per reply from its reference.").format(_inline(kl, "nats")) if kl else ""
    )


def _where(run: Run) -> Markup | None:
    moved = steps(run)
    if not moved:
        return None
    rise = largest_rise(run)
    if rise is None:
        return Markup("No stage clearly raised it: the interval of every change reaches zero or lies below it.")
    text = Markup("<b>{} is where it came in:</b> {} points {}{}.").format(
        rise.stage.title,
        number(rise.change.value or 0.0, "points"),
        between(rise.change, "points"),
        ", the largest rise of any stage" if len(moved) > 1 else "",
    )
    for step in moved:
        if step.stage.name != rise.stage.name:
            text += Markup(" {}").format(_other_step(step))
    return text


def _other_step(step: Step) -> str:
    verb = {"up": "raised it by", "down": "lowered it by", "unclear": "did not clearly change it"}[
        direction(step.change)
    ]
    size = "" if verb.endswith("it") else f" {number(abs(step.change.value or 0.0), 'points').lstrip('+')}"
    return f"{step.stage.title} {verb}{size}."


def origin(run: Run) -> Markup | None:
    """What the annotators' weights say about agreeing with a false belief: the pull that training follows."""
    for stage in run.of_type("compare"):
        view = tables.panel(stage)
        if view is None:
            continue
        rate = view.prefers_agreeing
        if rate <= 0.5:
            text = (
                "By their weights the annotators do not favour it: all else equal they prefer agreeing with a false "
                "belief to correcting it in {}."
            )
        else:
            text = (
                "The pull lies in the feedback: by their weights the annotators prefer agreeing with a false belief to "
                "correcting it in {}, all else equal."
            )
        return Markup(text).format(Markup("<b>{}</b> of comparisons").format(number(rate, "share")))
    return None


def _reward_and_truth(run: Run, stage: StageFiles) -> Markup | None:
    parts: list[Markup] = []
    moved = reward_along(stage.metrics) if stage.type == "ppo" else None
    if moved:
        parts.append(Markup("the reward {}").format(moved))
    for metric, words in (("approval", "the annotators' approval"), ("helpfulness", "helpfulness")):
        change = _moved(run, stage, metric, "number")
        if change:
            parts.append(Markup("{} {}").format(words, change))
    if not parts:
        return None
    text = parts[0] if len(parts) == 1 else Markup(", ").join(parts[:-1]) + Markup(" and ") + parts[-1]
    text = Markup("Meanwhile ") + text + Markup(".")
    if run.measured(stage.name, "helpfulness"):
        text += Markup(
            " Helpfulness is the same judgement with the annotators' bias taken out; training never sees it."
        )
    return text


def _moved(run: Run, stage: StageFiles, metric: str, unit: Unit) -> Markup | None:
    parent = run.parent(stage)
    here = run.measured(stage.name, metric)
    before = run.measured(parent.name, metric) if parent else None
    if here is None or here.value is None:
        return None
    if before is None or before.value is None:
        return Markup("is {}").format(with_limits(here, unit))
    verb = {"up": "rose", "down": "fell", "unclear": "did not clearly change"}[direction(difference(here, before))]
    return Markup("{} (<b>{}&nbsp;→&nbsp;{}</b>)").format(verb, number(before.value, unit), number(here.value, unit))


def _selectivity(run: Run, stage: StageFiles) -> Markup | None:
    here = run.measured(stage.name, "true_belief_agreement")
    chosen = run.measured(stage.name, "selectivity")
    if here is None or chosen is None or chosen.value is None:
        return None
    parent = run.parent(stage)
    before = run.measured(parent.name, "selectivity") if parent else None
    text = Markup(
        "It agrees with {} of true beliefs, so that selectivity, the gap between the two, is {} points"
    ).format(_inline(here, "share"), _inline(chosen, "points"))
    if parent is not None and before is not None and before.value is not None:
        text += Markup(", from {} after {}").format(number(before.value, "points"), _after(parent))
    return text + Markup(".")


def _branches(run: Run, stage: StageFiles) -> Markup | None:
    """Where the recipe's other branches end; for one with remedies that the page's policy lacks, what they brought."""
    had = set(remedies(run, stage))
    said: list[Markup] = []
    for other in run.leaves:
        ends = run.measured(other.name, AGREEMENT)
        if other.name == stage.name or ends is None:
            continue
        put_in = [words for words in remedies(run, other) if words not in had]
        if put_in:
            text = Markup("<b>With {}</b> ({}) the model agrees with {} of false beliefs instead{}.")
            said.append(text.format(_listed(put_in), other.label, _inline(ends, "share"), _helps(run, stage, other)))
        else:
            said.append(Markup("Another branch, {}, ends at {}.").format(other.label, with_limits(ends, "share")))
    return Markup(" ").join(said) if said else None


def _helps(run: Run, stage: StageFiles, other: StageFiles) -> Markup:
    here, there = run.measured(stage.name, "helpfulness"), run.measured(other.name, "helpfulness")
    if here is None or there is None:
        return Markup("")
    text = Markup(", at helpfulness {} in place of {}")
    return text.format(_inline(there, "number"), number(here.value or 0.0, "number"))


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def reward_along(rows: Rows) -> str | None:
    """How the mean reward of the rollouts moved, first tenth of the updates against the last; None without rewards.

    Called a rise or a fall only beyond two standard errors of the difference between the two tenths.
    """
    rewards = [float(r["reward"]) for r in rows if isinstance(r.get("reward"), int | float)]
    if not rewards:
        return None
    size = max(1, math.ceil(len(rewards) / 10))
    first, last = rewards[:size], rewards[-size:]
    start, end = sum(first) / size, sum(last) / size
    noise = math.sqrt((_variance(first) + _variance(last)) / size)
    verb = "barely moved" if abs(end - start) <= 2 * noise else ("rose" if end > start else "fell")
    return f"{verb} from {decimals(start, 2)} to {decimals(end, 2)}"


def _variance(values: Sequence[float]) -> float:
    if len(values) < 2:
        return 0.0
    mean = sum(values) / len(values)
    return sum((v - mean) ** 2 for v in values) / (len(values) - 1)
