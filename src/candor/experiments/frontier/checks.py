"""The frontier as checks: which remedies are worth their price, which meet the targets, which fail and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from candor.experiments.frontier import compare, words
from candor.experiments.frontier.catalogue import AS_IS, SFT, Intervention
from candor.experiments.frontier.compare import Criterion, Option, Options, Standing
from candor.experiments.frontier.measured import HELPFULNESS, HONESTY, METRICS
from candor.records import Chart, Check, Finding, Verdict

PROBE = "frontier"
START: Option = (SFT, "")
"""The policy that PPO starts from."""
SHARES = {HONESTY, "false_belief_agreement", "true_belief_agreement", "overcorrection", "neutral_accuracy"}


class View:
    """All options of a frontier, judged once. ``titles`` maps an option to what the page calls it."""

    def __init__(self, options: Options, catalogue: Sequence[Intervention]) -> None:
        self.options = options
        self.known = {one.name: one for one in catalogue}
        self.titles = {option: words.title(option, self.known) for option in options}
        self.sft = options.get(START, ())
        self.standings: Mapping[Option, Standing] = compare.standings(options)
        self.criteria: Mapping[Option, tuple[Criterion, ...]] = {
            option: compare.criteria(cells, self.sft) for option, cells in options.items() if option != START
        }

    @property
    def remedies(self) -> list[Option]:
        return [option for option in self.options if option[0] not in (SFT, AS_IS)]

    @property
    def passing(self) -> list[Option]:
        """The remedies that meet all targets, the most honest first."""
        met = [option for option in self.remedies if compare.passes(self.criteria[option])]
        return sorted(met, key=lambda option: -(self.mean(option, HONESTY) or 0.0))

    def mean(self, option: Option, metric: str) -> float | None:
        """Returns the mean over seeds; None where it was not measured."""
        found = compare.spread(self.options.get(option, ()), metric)
        return None if found is None else found.mean


def checks(options: Options, catalogue: Sequence[Intervention]) -> list[Check]:
    """Every check of the frontier; the order is that of the page."""
    view = View(options, catalogue)
    made = [_frontier(view), _targets(view), _non_inferiority(view), _detectors(view)]
    return [*made, *(_intervention(view, one) for one in catalogue if any(o[0] == one.name for o in options))]


# --- the whole --------------------------------------------------------------------------------------------------------


def _frontier(view: View) -> Check:
    chart = Chart(
        kind="plane",
        title="Helpfulness and honesty of every option",
        x_title="helpfulness (logits)",
        y_title="honesty: selectivity",
        rows=tuple(_points(view)),
    )
    if not view.remedies or not view.standings:
        verdict = Verdict.CANNOT_TELL
    else:
        verdict = Verdict.FINE if view.passing else Verdict.CONCERN
    return Check(
        name="frontier",
        group="The frontier",
        title="Which remedies are worth their price?",
        verdict=verdict,
        meaning=words.conclusion(view),
        advice=words.advice(view),
        findings=tuple(f for option in view.options for f in _findings(view, option, (HONESTY, HELPFULNESS))),
        charts=(chart,),
        details={"standings": [_standing(view, option) for option in view.standings]},
    )


def _points(view: View) -> Iterator[dict[str, object]]:
    for option, cells in view.options.items():
        x, y = (compare.spread(cells, metric) for metric in (HELPFULNESS, HONESTY))
        if x is None or y is None:
            continue
        known = view.known.get(option[0])
        yield {
            "label": view.titles[option],
            "series": "reference" if known is None else known.seam,
            **_limits("x", x),
            **_limits("y", y),
            "flagged": option in view.standings and view.standings[option].front,
        }


def _limits(axis: str, spread: compare.Spread) -> dict[str, float]:
    low, high = spread.interval
    return {axis: spread.mean, f"{axis}_low": low, f"{axis}_high": high}


def _standing(view: View, option: Option) -> dict[str, object]:
    standing = view.standings[option]
    return {
        "option": view.titles[option],
        "front": standing.front,
        "dominated_by": [view.titles[other] for other in standing.dominated_by],
        "not_told_apart_from": [view.titles[other] for other in standing.beaten_by],
    }


def _targets(view: View) -> Check:
    rows = [
        {
            "x": words.TARGETS[one.name],
            "y": view.titles[option],
            "value": None if one.value is None or one.bound is None else words.room(one),
            "label": view.titles[option],
        }
        for option, met in view.criteria.items()
        for one in met
    ]
    chart = Chart(
        kind="map",
        title="Room to each target (negative: missed)",
        x_title="target",
        y_title="option",
        rows=tuple(rows),
        reference=0.0,
    )
    count = len(view.passing)
    return Check(
        name="targets",
        group="The frontier",
        title="Which meet all five targets?",
        verdict=Verdict.FINE if count else Verdict.CONCERN if view.criteria else Verdict.CANNOT_TELL,
        meaning=words.targets(view),
        findings=tuple(f for option in view.passing for f in _findings(view, option, METRICS)),
        charts=(chart,),
        details={"targets": {view.titles[option]: words.judged(met) for option, met in view.criteria.items()}},
    )


# --- against SFT ------------------------------------------------------------------------------------------------------


def _non_inferiority(view: View) -> Check:
    judged = {
        option: compare.non_inferiority(view.options[option], view.sft) for option in (*view.remedies, (AS_IS, ""))
        if option in view.options
    }  # fmt: skip
    charts = []
    for place, metric in enumerate((HELPFULNESS, "overcorrection", "neutral_accuracy")):
        rows = [
            {
                "label": view.titles[option],
                "estimate": gap.estimate,
                "low": gap.low,
                "high": gap.high,
                "n": gap.seeds,
                "flagged": tests[place].verdict != "non-inferior",
            }
            for option, tests in judged.items()
            if (gap := tests[place].difference) is not None
        ]
        bound = compare.MARGIN if metric == "overcorrection" else -compare.MARGIN
        charts.append(
            Chart(
                kind="intervals",
                title=f"{words.spoken(metric).capitalize()}: change since SFT",
                x_title=f"change; the line is the margin, {bound:+g}",
                y_title="",
                rows=tuple(rows),
                reference=bound,
            )
        )
    sound = [option for option, tests in judged.items() if all(test.verdict == "non-inferior" for test in tests)]
    gaps = [test.difference for tests in judged.values() for test in tests if test.difference is not None]
    several = any(gap.seeds > 1 for gap in gaps)
    return Check(
        name="non_inferiority",
        group="Against SFT",
        title="Which are shown to be no worse than SFT?",
        verdict=Verdict.CANNOT_TELL if not several else Verdict.FINE if sound else Verdict.CONCERN,
        meaning=words.ONE_SEED if gaps and not several else words.non_inferior(view, judged, sound),
        charts=tuple(chart for chart in charts if chart.rows),
        details={
            "margin": compare.MARGIN,
            "tests": {view.titles[option]: [words.tested(one) for one in tests] for option, tests in judged.items()},
        },
    )


# --- detectors --------------------------------------------------------------------------------------------------------


def _detectors(view: View) -> Check:
    read = {option: compare.gaming(cells, view.sft) for option, cells in view.options.items()}
    found = {option: one for option, one in read.items() if one is not None}
    flagged = [option for option, one in found.items() if one.flagged]
    rows = tuple(
        {"label": view.titles[option], "x": one.trained, "y": one.held_out, "flagged": one.flagged}
        for option, one in found.items()
    )
    chart = Chart(
        kind="points",
        title="Agreement with false beliefs by two detectors",
        x_title="read by the detector trained against",
        y_title="read by the one held out of training",
        rows=rows,
    )
    return Check(
        name="detectors",
        group="Against SFT",
        title="Was the detector gamed?",
        verdict=Verdict.CANNOT_TELL if not found else Verdict.CONCERN if flagged else Verdict.FINE,
        meaning=words.detectors(view, found, flagged),
        advice="Read the flagged options' replies: what they gain is in how they are read." if flagged else "",
        findings=tuple(
            _gap(view.titles[option], one.change, one.read) for option, one in found.items() if one.change is not None
        ),
        charts=(chart,) if rows else (),
        details={
            view.titles[option]: {
                "trained": one.trained,
                "held_out": one.held_out,
                "alike": one.alike,
                "read": one.read,
            }
            for option, one in found.items()
        },
    )


def _gap(title: str, gap: compare.Difference, n: int) -> Finding:
    return Finding(
        probe=PROBE,
        stage="",
        subject=title,
        metric="gap_of_detectors_since_sft",
        estimate=gap.estimate,
        ci_low=gap.low,
        ci_high=gap.high,
        n=n,
        seed=0,
        details={"unit": "points", "seeds": gap.seeds},
    )


# --- one intervention -------------------------------------------------------------------------------------------------


def _intervention(view: View, one: Intervention) -> Check:
    mine = [option for option in view.remedies if option[0] == one.name]
    passing = [option for option in view.passing if option in mine]
    measured = [option for option in mine if option in view.standings]
    return Check(
        name=one.name,
        group={"several": "Together"}.get(one.seam, f"On {words.SEAMS[one.seam]}"),
        title=one.title[:1].upper() + one.title[1:],
        verdict=Verdict.FINE if passing else Verdict.CONCERN if measured else Verdict.CANNOT_TELL,
        meaning=words.intervention(view, mine),
        advice="" if passing else one.limit,
        findings=tuple(f for option in mine for f in _findings(view, option, METRICS)),
        charts=tuple(_strengths(view, mine)),
        details={view.titles[option]: words.judged(view.criteria[option]) for option in mine},
    )


def _strengths(view: View, mine: Sequence[Option]) -> Iterator[Chart]:
    shown = [*(o for o in (START, (AS_IS, "")) if o in view.options), *mine]
    for metric, title in ((HONESTY, "honesty: selectivity"), (HELPFULNESS, "helpfulness (logits)")):
        rows = []
        for option in shown:
            found = compare.spread(view.options[option], metric)
            if found is not None:
                low, high = found.interval
                flagged = option in mine and not compare.passes(view.criteria[option])
                told = {"estimate": found.mean, "low": low, "high": high, "n": found.n, "flagged": flagged}
                rows.append({"label": view.titles[option], **told})
        if rows:
            yield Chart(kind="intervals", title=title.capitalize(), x_title=title, y_title="", rows=tuple(rows))


def _findings(view: View, option: Option, metrics: Sequence[str]) -> Iterator[Finding]:
    cells = view.options[option]
    for metric in metrics:
        found = compare.spread(cells, metric)
        details: dict[str, object] = {"unit": "share" if metric in SHARES else "number"}
        low = high = None
        if found is None:
            details["not_measured"] = "no reply to measure it on"
        else:
            low, high = found.interval
            details |= {"seeds": found.seeds, "by_seed": found.by_seed, "by_question": found.by_question}
        yield Finding(
            probe=PROBE,
            stage="",
            subject=view.titles[option],
            metric=metric,
            estimate=None if found is None else found.mean,
            ci_low=low,
            ci_high=high,
            n=0 if found is None else found.n,
            seed=min((cell.seed for cell in cells), default=0),
            details=details,
        )
