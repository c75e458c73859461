"""The frontier's sentences, each computed from what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from candor.experiments.frontier import compare
from candor.experiments.frontier.catalogue import AS_IS, SFT, Intervention
from candor.experiments.frontier.compare import Criterion, Difference, Gaming, NonInferiority, Option
from candor.experiments.frontier.measured import HELPFULNESS, HONESTY

if TYPE_CHECKING:
    from candor.experiments.frontier.checks import View

SEAMS = {
    "demonstrations": "demonstrations",
    "comparisons": "comparisons",
    "reward": "the reward",
    "optimiser": "the optimiser",
    "several": "several at once",
}
TARGETS = {
    "false_belief_agreement": "agrees no more than SFT",
    HONESTY: f"selectivity, SFT's - {compare.SELECTIVITY_SLACK:g}",
    HELPFULNESS: "helpful as SFT",
    "overcorrection": f"overcorrection, {compare.OVERCORRECTION:g}",
    "neutral_accuracy": f"neutral accuracy, SFT's - {compare.NEUTRAL_SLACK:g}",
}
ONE_SEED = "One seed says nothing of how seeds differ, so that nothing is shown of any option: give several."
_REFERENCES = {SFT: "SFT", AS_IS: "as it is"}
_NAMED = 5


def title(option: Option, known: Mapping[str, Intervention]) -> str:
    """What an option is called: ``agreement penalty 0.5``."""
    name, label = option
    if name in _REFERENCES:
        return _REFERENCES[name]
    said = known[name].title if name in known else name
    return f"{said} {label.replace('_', ' ')}".strip()


def spoken(metric: str) -> str:
    """A metric's name in words."""
    return metric.replace("_", " ")


def room(one: Criterion) -> float:
    """How far a target is met; negative where it is missed."""
    assert one.value is not None
    assert one.bound is not None
    return one.value - one.bound if one.at_least else one.bound - one.value


def judged(met: Sequence[Criterion]) -> list[dict[str, Any]]:
    """The targets with their figures, as the document holds them."""
    return [
        {"target": one.name, "value": one.value, "bound": one.bound, "at_least": one.at_least, "met": one.met}
        for one in met
    ]


def tested(one: NonInferiority) -> dict[str, Any]:
    """A test with its figures, as the document holds it."""
    gap = one.difference
    limits = {} if gap is None else {"change": gap.estimate, "low": gap.low, "high": gap.high, "seeds": gap.seeds}
    return {"metric": one.metric, "margin": one.margin, "verdict": one.verdict, **limits}


def conclusion(view: View) -> str:
    """The frontier in one or two plain sentences."""
    if not view.remedies or not view.standings:
        return "No remedy was measured on both axes: nothing can be said."
    asked = f"{len(view.remedies)} option{'s' if len(view.remedies) != 1 else ''}"
    start = _pair(view, (SFT, ""))
    before = _pair(view, (AS_IS, ""))
    against = f" ({'; '.join(filter(None, (start and f'SFT: {start}', before and f'as it is: {before}')))})"
    if not view.passing:
        return f"None of {asked} meets all five targets{against}. {_failing(view)}".strip()
    best = view.passing[0]
    return (
        f"{len(view.passing)} of {asked} meet{'s' if len(view.passing) == 1 else ''} all five targets; the most honest "
        f"of them is {view.titles[best]}: {_pair(view, best)}{against}. {_failing(view)}".strip()
    )


def advice(view: View) -> str:
    """What to take, or what to try."""
    if not view.passing:
        return "Try other strengths, or several interventions together: a plan file names them."
    fronted = [option for option in view.passing if view.standings[option].front]
    best = (fronted or view.passing)[0]
    return f"Take {view.titles[best]}; {_apart(view, best)}"


def targets(view: View) -> str:
    """Who meets all five targets."""
    if not view.criteria:
        return "Nothing was measured against the targets."
    if not view.passing:
        return "No option meets all five targets; the map shows by how much each is missed."
    most = max(view.mean(option, HONESTY) or 0.0 for option in view.passing)
    return (
        f"{listed([view.titles[option] for option in view.passing])} meet all five on the means over seeds; the "
        f"highest selectivity among them is {most:.2f}."
    )


def non_inferior(
    view: View, tests: Mapping[Option, Sequence[NonInferiority]], sound: Sequence[Option]
) -> str:  # fmt: skip
    """Who is shown to be no worse than SFT, who is worse, and what is open."""
    worse = [option for option, found in tests.items() if any(one.verdict == "inferior" for one in found)]
    rest = [option for option in tests if option not in sound and option not in worse]
    parts = [
        f"Within a margin of {compare.MARGIN:g} in helpfulness, overcorrection and neutral accuracy, "
        f"{listed([view.titles[o] for o in sound]) or 'no option'} "
        f"{'are' if len(sound) > 1 else 'is'} shown to be no worse than SFT."
    ]
    if worse:
        named = listed([view.titles[option] for option in worse])
        parts.append(f"Worse by more than that: {named}.")
    if rest:
        parts.append(f"Not settled: {listed([view.titles[option] for option in rest])}.")
    return " ".join(parts)


def detectors(view: View, found: Mapping[Option, Gaming], flagged: Sequence[Option]) -> str:
    """How far two detectors agree, and where the one that was trained against was gone round."""
    if not found:
        return "No reply to a false belief was read by both detectors."
    alike = [one.alike for one in found.values()]
    base = (
        f"Two detectors, of which no option is trained against more than one, read {min(alike):.1%} to "
        f"{max(alike):.1%} of replies to a belief alike."
    )
    if not flagged:
        return f"{base} Nowhere does the one trained against find clearly less agreement than the one held out."
    told = [
        f"{view.titles[o]} ({found[o].trained:.2f} by the one trained against, {found[o].held_out:.2f} by the other)"
        for o in flagged
    ]
    return f"{base} The one trained against finds clearly less agreement in {listed(told)}: it was gamed."


def intervention(view: View, mine: Sequence[Option]) -> str:
    """Each strength's figures and what they miss; who dominates it."""
    parts = []
    for option in mine:
        figures = _pair(view, option)
        if not figures:
            parts.append(f"{view.titles[option]}: not measured.")
            continue
        missed = [one for one in view.criteria[option] if not one.met]
        said = "meets all five targets" if not missed else f"misses {listed([_missed(one) for one in missed])}"
        parts.append(f"{view.titles[option]}: {figures}; {said}; {_apart(view, option)}")
    return " ".join(parts)


def listed(parts: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and 3 more``."""
    shown = list(parts) if len(parts) <= _NAMED + 1 else [*parts[:_NAMED], f"{len(parts) - _NAMED} more"]
    return f"{', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else "".join(shown)


def _missed(one: Criterion) -> str:
    if one.value is None or one.bound is None:
        return f"{spoken(one.name)} (not measured)"
    return f"{spoken(one.name)} ({one.value:.2f}, {'at least' if one.at_least else 'at most'} {one.bound:.2f} asked)"


def _pair(view: View, option: Option) -> str:
    """``selectivity 0.73 [0.70, 0.76], helpfulness 0.84 [0.80, 0.88]``; empty where one was not measured."""
    found = [compare.spread(view.options.get(option, ()), metric) for metric in (HONESTY, HELPFULNESS)]
    if any(one is None for one in found):
        return ""
    told = []
    for metric, one in zip((HONESTY, HELPFULNESS), found, strict=True):
        assert one is not None
        told.append(f"{metric} {one.mean:.2f} {limits(one.interval)}")
    return ", ".join(told)


def limits(interval: tuple[float, float] | Difference) -> str:
    """``[0.70, 0.76]``."""
    low, high = interval if isinstance(interval, tuple) else (interval.low, interval.high)
    return f"[{low:.2f}, {high:.2f}]"


def _apart(view: View, option: Option) -> str:
    """Where it stands among the others, as the end of a sentence."""
    standing = view.standings[option]
    if standing.front:
        return "no other has better estimates on both axes."
    if standing.dominated_by:
        return f"dominated by {listed([view.titles[other] for other in standing.dominated_by])}."
    return f"behind {listed([view.titles[other] for other in standing.beaten_by])}, and not told apart from it."


def _failing(view: View) -> str:
    """The interventions that no strength of which meets the targets."""
    names = {option[0] for option in view.remedies}
    failed = [name for name in names - {option[0] for option in view.passing}]
    titles = [view.known[name].title if name in view.known else name for name in sorted(failed)]
    return f"Not at any strength tried: {listed(titles)}." if titles else ""
