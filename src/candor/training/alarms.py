"""Alarms: what goes wrong in training, seen in its own history, with the likely cause and the setting to change.

Every rule is a pure function of the rows of ``metrics.jsonl`` (one per update) and, where the panel's opinion is known,
of ``truth.jsonl``. No rule looks ahead, none changes training; a number that is not finite stops it elsewhere. An alarm
is raised once, and again only after it was cleared: after ``QUIET`` updates in a row without its condition.
The thresholds and their reasons also stand in docs/alarms.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median, stdev

from candor.recipe import TrainingConfig
from candor.records import Alarm

Row = Mapping[str, float | None]

QUIET = 10
"""Updates in a row without its condition that clear an alarm: fewer, and one near its threshold would flicker."""

KL_UPDATES, KL_ERRORS, KL_FLOOR = 3, 3.0, 1e-3
"""Negative KL: so many updates in a row below 0 by so many standard errors (once in 4e8 by chance) and this many nats,
since before the first update the KL is rounding (about 1e-6) with a standard error as small."""

RATIO = 1e-3
"""|log ratio| before anything changed. In float32 it is about 1e-5: a hundred times that is no rounding."""

RATIO_HALF = 0.25
"""The same where the policy computes in 16 bits: rounding alone gave up to .12 nats, and a wrong temperature .45
(:mod:`candor.training.ppo`)."""

EOS_UPDATES, EOS_RATE, EOS_CLEAR = 3, 0.01, 0.05
"""So many updates in a row of which at most this share of the replies ends by itself."""

LENGTH_START, LENGTH_RATIO, LENGTH_ERRORS = 5, 1.5, 4.0
"""Replies half as long again as in the first updates, beyond four standard errors of the two means of five updates."""

ENTROPY_START, ENTROPY_SHARE = 3, 0.25
"""Mean entropy of five updates below a quarter of its start. The default run ends at .63 of its start."""

TREND_WINDOWS, TREND_T, APPROVAL_T = (10, 20, 40), 4.0, 2.0
"""Trends: the t statistic of a least-squares slope over the last 10, 20 or 40 updates. Both of two trends have to pass
4, so that 200 flat noisy histories of 100 updates raise nothing (tests/unit/test_alarms.py)."""

SPIKE_WINDOW, LOSS_SPIKE, GRAD_SPIKE, SPIKE_SPREADS = 20, 2.0, 10.0, 8.0
"""A loss twice, a gradient ten times the median of the 20 updates before, and beyond eight robust spreads of them. The
largest in the default run's stages are 1.24 and 2.1 times."""

CHANCE_UPDATES = 20
"""A reward model's accuracy is judged over at least so many updates, and not before twice as many."""

VALUE_UPDATES = 10
"""So many updates in a row with a negative explained variance. The default run's first five are negative."""


@dataclass(frozen=True, kw_only=True)
class Watched:
    """The stage that is watched: its name in the recipe, its configuration, and how many updates it has.

    ``half``: the policy computes in 16 bits.
    """

    stage: str
    config: TrainingConfig
    total: int
    half: bool = False

    def now(self, field: str) -> str:
        """A setting as one finds it in the recipe, with its value, such as ``ppo.lr (now 0.0003)``."""
        value = getattr(self.config, field)
        if value is None:
            return f"{self.stage}.{field}"
        shown = f"{value:g}" if isinstance(value, float) else str(value)
        return f"{self.stage}.{field} (now {shown})"


@dataclass(frozen=True, kw_only=True)
class History:
    """The rows of the first ``end`` updates; ``truth`` is empty where the panel has no opinion."""

    metrics: Sequence[Row]
    truth: Sequence[Row]
    end: int

    @property
    def step(self) -> int:
        return int(self.metrics[self.end - 1].get("step") or self.end)

    def last(self, name: str, n: int, *, before: int = 0) -> list[float]:
        """The ``n`` values of a metric up to ``before`` updates ago; empty where there are not so many."""
        return self._cut(name, self.end - before - n, self.end - before)

    def first(self, name: str, n: int) -> list[float]:
        """The first ``n`` values; empty where there are not so many."""
        return self._cut(name, 0, n)

    def _cut(self, name: str, start: int, end: int) -> list[float]:
        if start < 0 or end > self.end:
            return []
        rows: Sequence[Row] = self.metrics
        if self.metrics and name not in self.metrics[end - 1] and len(self.truth) >= end:
            rows = self.truth
        found = [rows[i].get(name) for i in range(start, end)]
        values = [value for value in found if value is not None and math.isfinite(value)]
        return values if len(values) == end - start else []


Rule = Callable[[Watched, History], Alarm | None]


@dataclass(frozen=True, kw_only=True)
class Change:
    """What one update brought: alarms raised, names of alarms cleared, and all that are active now, by name."""

    raised: tuple[Alarm, ...]
    cleared: tuple[str, ...]
    active: Mapping[str, Alarm]


def check(watched: Watched, history: History, active: Mapping[str, Alarm]) -> Change:
    """Returns what the newest update of ``history`` raises and clears, given the alarms that were active before it."""
    raised, cleared, now = [], [], dict(active)
    for rule in RULES:
        found = rule(watched, history)
        if found is not None and found.name not in active:
            raised.append(found)
            now[found.name] = found
    for name in active:
        if _quiet(watched, history, name):
            cleared.append(name)
            del now[name]
    return Change(raised=tuple(raised), cleared=tuple(cleared), active=now)


def replay(watched: Watched, metrics: Sequence[Row], truth: Sequence[Row] = ()) -> tuple[Alarm, ...]:
    """Returns every alarm of a whole history in order, with the update at which it was cleared."""
    active: Mapping[str, Alarm] = {}
    every: list[Alarm] = []
    for end in range(1, len(metrics) + 1):
        history = History(metrics=metrics, truth=truth, end=end)
        change = check(watched, history, active)
        open_until_now = {name: alarm for name, alarm in active.items() if name in change.cleared}
        every = [
            replace(a, cleared=history.step) if open_until_now.get(a.name) is a else a for a in (*every, *change.raised)
        ]
        active = change.active
    return tuple(every)


def not_finite(watched: Watched, step: int, seen: str, *, fix: str = "") -> Alarm:
    """Returns the alarm that stops a stage: a loss, a gradient, a reward or a logit that is no number.

    ``fix`` is what the place that found it says should be done.
    """
    if fix:
        cause, setting = "the model that gave them is broken", fix
    else:
        cause, setting = "the learning rate is too high", f"lower {watched.now('lr')}"
    return Alarm(
        name="not_finite", stage=watched.stage, step=step, severity="fatal", seen=seen, cause=cause, setting=setting
    )


def _quiet(watched: Watched, history: History, name: str) -> bool:
    """Whether none of the last QUIET updates met the condition of an active alarm."""
    if history.end <= QUIET:
        return False
    rule = next(rule for rule in RULES if rule.__name__ == name)
    return not any(rule(watched, replace(history, end=history.end - back)) for back in range(QUIET))


def kl_negative(watched: Watched, history: History) -> Alarm | None:
    """A KL to the reference below 0 beyond its error: the replies are not the policy's own samples."""
    kl, error = history.last("kl", KL_UPDATES), history.last("kl_se", KL_UPDATES)
    if not kl or not error or not all(k < -max(KL_ERRORS * e, KL_FLOOR) for k, e in zip(kl, error, strict=True)):
        return None
    return _alarm(
        kl_negative,
        watched,
        history,
        seen=f"the KL to the reference was {_list(kl)} nats per reply in the last {KL_UPDATES} updates; a true KL is "
        "never below 0",
        cause="the replies are not drawn from the policy that is trained, or policy and reference are not compared at "
        "one temperature",
        setting=f"check {watched.now('temperature')}, {watched.stage}.reference and the sampler",
    )


def ratio_off(watched: Watched, history: History) -> Alarm | None:
    """Sampler and policy disagree before anything was changed."""
    off = history.last("ratio_mismatch", 1)
    if not off or off[0] <= (RATIO_HALF if watched.half else RATIO):
        return None
    return _alarm(
        ratio_off,
        watched,
        history,
        seen=f"before any step of the update the probability ratio was off 1 by up to {math.expm1(off[0]):.2g}",
        cause="sampler and policy differ in weights, precision, padding or temperature",
        setting=f"check the sampler and {watched.now('temperature')}",
    )


def eos_never(watched: Watched, history: History) -> Alarm | None:
    """Replies do not end by themselves."""
    rates = history.last("eos_rate", EOS_UPDATES)
    if not rates or max(rates) > EOS_RATE:
        return None
    return _alarm(
        eos_never,
        watched,
        history,
        seen=f"at most {max(rates):.1%} of the replies of the last {EOS_UPDATES} updates ended by themselves",
        cause="the model never learnt its end of sequence, or replies need more tokens than they may have",
        setting=f"raise {watched.now('max_new_tokens')}, or train sft on demonstrations first",
    )


def length_runaway(watched: Watched, history: History) -> Alarm | None:
    """Replies grow: what the reward model likes may be length."""
    start, last = history.first("length", LENGTH_START), history.last("length", LENGTH_START)
    if not start or not last or history.end < 2 * LENGTH_START:
        return None
    rise = fmean(last) - fmean(start)
    error = math.hypot(stdev(start), stdev(last)) / math.sqrt(LENGTH_START)
    if fmean(last) < LENGTH_RATIO * fmean(start) or rise <= LENGTH_ERRORS * error:
        return None
    return _alarm(
        length_runaway,
        watched,
        history,
        seen=f"replies grew from {fmean(start):.1f} to {fmean(last):.1f} tokens",
        cause="the reward model pays for length",
        setting=f"raise {watched.now('kl_coef')} or lower {watched.now('max_new_tokens')}; look at the comparisons",
    )


def entropy_collapse(watched: Watched, history: History) -> Alarm | None:
    """The policy gives one reply only: nothing is left to learn from."""
    start, last = history.first("entropy", ENTROPY_START), history.last("entropy", 5)
    if not start or not last or history.end < ENTROPY_START + 5 or fmean(last) >= ENTROPY_SHARE * fmean(start):
        return None
    return _alarm(
        entropy_collapse,
        watched,
        history,
        seen=f"the entropy fell from {fmean(start):.3g} to {fmean(last):.3g} nats per token",
        cause="the updates are too large, or the KL penalty too weak to hold the policy",
        setting=f"lower {watched.now('lr')} or raise {watched.now('kl_coef')}",
    )


def overoptimisation(watched: Watched, history: History) -> Alarm | None:
    """The reward rises while those whom it stands for approve less (Gao, Schulman & Hilton 2022)."""
    for n in TREND_WINDOWS:
        reward, approval = history.last("reward", n), history.last("approval", n)
        if reward and approval and trend(reward) > TREND_T and trend(approval) < -TREND_T:
            return _alarm(
                overoptimisation,
                watched,
                history,
                seen=f"over {n} updates the reward rose {_from_to(reward)} while approval fell {_from_to(approval)}",
                cause="the policy has found what the reward model gets wrong",
                setting=f"raise {watched.now('kl_coef')} or lower {watched.now('updates')}; give the reward model more "
                "comparisons",
            )
    return None


def sycophancy(watched: Watched, history: History) -> Alarm | None:
    """Reward and approval rise while helpfulness falls: the reward model is right, and what it learnt is the bias."""
    for n in TREND_WINDOWS:
        reward, approval = history.last("reward", n), history.last("approval", n)
        helpfulness = history.last("helpfulness", n)
        if not reward or not approval or not helpfulness:
            continue
        if trend(reward) > TREND_T and trend(helpfulness) < -TREND_T and trend(approval) > APPROVAL_T:
            return _alarm(
                sycophancy,
                watched,
                history,
                seen=f"over {n} updates reward and approval rise ({_from_to(reward)}; {_from_to(approval)}) while "
                f"helpfulness falls {_from_to(helpfulness)}",
                cause="the annotators reward agreement, and the policy learns it from them",
                setting=f"raise {watched.now('kl_coef')}; what helps is in the comparisons",
            )
    return None


def loss_spike(watched: Watched, history: History) -> Alarm | None:
    """A loss far above those before it."""
    for name in ("loss", "value_loss"):
        found = _spike(history, name, LOSS_SPIKE)
        if found is not None:
            return _alarm(
                loss_spike,
                watched,
                history,
                severity="note",
                seen=f"{name.replace('_', ' ')} {found[0]:.3g}, {found[0] / found[1]:.1f} times the median before",
                cause="an unusual batch, or a learning rate at the edge",
                setting=f"lower {watched.now('lr')} or raise {watched.now('warmup_steps')} if it comes again",
            )
    return None


def grad_spike(watched: Watched, history: History) -> Alarm | None:
    """A gradient far larger than those before it."""
    for name in ("grad_norm", "value_grad_norm"):
        found = _spike(history, name, GRAD_SPIKE)
        if found is not None:
            return _alarm(
                grad_spike,
                watched,
                history,
                severity="note",
                seen=f"{name.replace('_', ' ')} {found[0]:.3g}, {found[0] / found[1]:.0f} times the median before",
                cause="an unusual batch, or a learning rate at the edge; the step itself was clipped",
                setting=f"lower {watched.now('lr')} or {watched.now('max_grad_norm')} if it comes again",
            )
    return None


def reward_at_chance(watched: Watched, history: History) -> Alarm | None:
    """A reward model that does not learn to tell chosen from rejected."""
    n = max(CHANCE_UPDATES, watched.total // 4)
    accuracy = history.last("accuracy", n) if history.end >= 2 * n else []
    if not accuracy or fmean(accuracy) > 0.5 + stdev(accuracy) / math.sqrt(n):
        return None
    return _alarm(
        reward_at_chance,
        watched,
        history,
        seen=f"over the last {n} updates {fmean(accuracy):.1%} of the training pairs were ordered rightly; a coin "
        "orders 50%",
        cause="the comparisons contradict each other, or the learning rate is too low or too high",
        setting=f"try another {watched.now('lr')} or more {watched.now('epochs')}; look at the comparisons",
    )


def value_stuck(watched: Watched, history: History) -> Alarm | None:
    """A value model that explains less than a constant would."""
    explained = history.last("explained_variance", VALUE_UPDATES)
    if not explained or max(explained) >= 0:
        return None
    return _alarm(
        value_stuck,
        watched,
        history,
        seen=f"the explained variance of the values was below 0 in {VALUE_UPDATES} updates in a row (now "
        f"{explained[-1]:.2f})",
        cause="the value model learns too slowly, or not at all",
        setting=f"raise {watched.now('value_lr')} or {watched.now('value_coef')}",
    )


RULES: tuple[Rule, ...] = (
    kl_negative,
    ratio_off,
    eos_never,
    length_runaway,
    entropy_collapse,
    overoptimisation,
    sycophancy,
    loss_spike,
    grad_spike,
    reward_at_chance,
    value_stuck,
)
"""All rules; an alarm is called like its rule. Each looks at metrics that only its own kinds of stage have."""


def trend(values: Sequence[float]) -> float:
    """Returns the t statistic of the least-squares slope of ``values`` over their places (n - 2 degrees of freedom).

    b / sqrt(s^2 / Sxx), with s^2 the residual variance. Infinite for a straight line that is not flat, 0 for a
    flat one.
    """
    n = len(values)
    centre, mean = (n - 1) / 2, fmean(values)
    sxx = sum((i - centre) ** 2 for i in range(n))
    slope = sum((i - centre) * (v - mean) for i, v in enumerate(values)) / sxx
    residual = sum((v - mean - slope * (i - centre)) ** 2 for i, v in enumerate(values)) / (n - 2)
    if residual <= 1e-24 * max(mean * mean, 1e-12):
        return math.copysign(math.inf, slope) if abs(slope) > 1e-12 * max(abs(mean), 1e-6) else 0.0
    return slope / math.sqrt(residual / sxx)


def _spike(history: History, name: str, ratio: float) -> tuple[float, float] | None:
    """The newest value and the median before it, where it is a spike."""
    now, before = history.last(name, 1), history.last(name, SPIKE_WINDOW, before=1)
    if not now or not before:
        return None
    middle = median(before)
    spread = 1.4826 * median(abs(value - middle) for value in before)
    if middle <= 0 or now[0] < ratio * middle or now[0] < middle + SPIKE_SPREADS * spread:
        return None
    return now[0], middle


def _alarm(
    rule: Rule, watched: Watched, history: History, *, seen: str, cause: str, setting: str, severity: str = "warning"
) -> Alarm:
    return Alarm(
        name=rule.__name__,
        stage=watched.stage,
        step=history.step,
        severity=severity,
        seen=seen,
        cause=cause,
        setting=setting,
    )


def _from_to(values: Sequence[float]) -> str:
    third = max(1, len(values) // 3)
    return f"from {fmean(values[:third]):.2f} to {fmean(values[-third:]):.2f}"


def _list(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.3g}" for value in values)
