"""Does the file prefer in circles, and does one score per item describe it?

Two questions, kept apart: are **majorities** cyclic (A over B, B over C, C over A, each by most people), which no score
can express; and does a **Bradley-Terry** model, one form of score, fit. Lapses and other noise spoil the second, never
the first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from candor.audits.preferences.cycles import (
    MANY_LEVEL,
    REFERENCE_SHARE,
    REFERENCE_STRENGTH,
    SINGLE_LEVEL,
    ManyTriads,
    cycle_p_values,
    holm_adjusted,
    many_triads,
    single_power,
    single_votes_needed,
    votes_needed,
)
from candor.audits.preferences.form import CONSISTENCY, cannot_tell, finding
from candor.audits.preferences.one_scale import HODGE_PARTS, Measure, OneScale, against_one_scale, with_loops
from candor.audits.preferences.rates import counted
from candor.audits.preferences.shown import example
from candor.audits.preferences.survey import Survey
from candor.audits.preferences.tournaments import (
    Tournaments,
    Triads,
    edge_disjoint,
    find_triads,
    independent_pairs,
    responses_compared,
    systems_compared,
)
from candor.preferences.table import BoolArray, FloatArray, IntArray, Judgements
from candor.records import Chart, Check, Example, Finding, Verdict

LEAST_TRIADS, MOST_TRIADS = 10, 1000
"""Triads that share no edge: fewer are looked at one by one only, more are drawn from."""

ENOUGH_POWER, MISFIT_LEVEL, LEAST_VOTES = 0.8, 0.05, 2.0
SHOWN_CYCLES = 5
KNOWN_STRENGTHS = 5
"""Votes a pair below which the strengths of majorities are unknown, and all are taken as equally likely."""

RANKINGS_ONLY = (
    "Cannot be assessed: rankings only. The pairs of one ranking, of one set of ratings or of one choice among several "
    "are transitive by their form, so only judgements of two responses at a time could show a cycle."
)
ASK_PAIRS = (
    "To find out, have three or more responses to one prompt compared two at a time, by at least 9 people a pair."
)


@dataclass(frozen=True, kw_only=True)
class Level:
    """What is compared: responses to one prompt, or systems across prompts."""

    subject: str
    suffix: str
    title: str
    item: str
    voter: str


RESPONSES = Level(subject="responses", suffix="", title="responses to one prompt", item="response", voter="people")
SYSTEMS = Level(subject="systems", suffix="_systems", title="systems", item="system", voter="prompts")


@dataclass(frozen=True, kw_only=True)
class Cycles:
    """What the tests of cyclic majorities found. Of each triad, (T,): its p-value, alone and adjusted after Holm."""

    triads: Triads
    alone: FloatArray
    adjusted: FloatArray
    forward: BoolArray
    many: ManyTriads | None
    votes: IntArray

    @property
    def shown(self) -> IntArray:
        """The triads that are cycles by themselves, surest first."""
        found = np.flatnonzero(self.adjusted <= SINGLE_LEVEL)
        return found[np.argsort(self.alone[found], kind="stable")]

    @property
    def likeliest(self) -> IntArray:
        """The triads whose majorities are cyclic in these votes, whether by chance or not, surest first."""
        found = np.flatnonzero(self.alone < 0.5)
        return found[np.argsort(self.alone[found], kind="stable")]

    @property
    def found(self) -> bool:
        """Whether either test found cycles; the two levels add up to 5%."""
        return bool(len(self.shown)) or (self.many is not None and self.many.p_value <= MANY_LEVEL)

    @property
    def power(self) -> float:
        """The chance that the reference cycles would have been found."""
        single = single_power(self.votes, SINGLE_LEVEL / max(len(self.triads), 1))
        return max(single, self.many.power or 0.0) if self.many else single


def checks(survey: Survey) -> list[Check]:
    """Returns the checks of cycles and of Bradley-Terry's fit, for responses and, where they are named, systems."""
    judgements = survey.judgements
    answers = _of_responses(survey)
    if len(judgements.policy_names) >= 3:
        systems = systems_compared(judgements)
        triads = find_triads(systems, _generator(survey.seed, 2))
        if len(triads):
            answers += _answers(survey, systems, triads, SYSTEMS)
    return answers


def _of_responses(survey: Survey) -> list[Check]:
    judgements = survey.judgements
    name, title = "transitivity", _title(RESPONSES)
    if not len(independent_pairs(judgements)):
        why = RANKINGS_ONLY if len(judgements.pairs) else "Cannot be assessed: nothing was preferred to anything."
        return [cannot_tell(name, CONSISTENCY, title, why, ASK_PAIRS)]
    tournaments = responses_compared(judgements)
    triads = find_triads(tournaments, _generator(survey.seed, 1))
    if not len(triads) and not with_loops(tournaments).any():
        why = (
            f"Cannot be assessed: in {counted(tournaments.groups, 'prompt')} with judgements of two responses at a "
            "time, no three responses to one prompt were all compared with each other."
        )
        return [cannot_tell(name, CONSISTENCY, title, why, ASK_PAIRS)]
    return _answers(survey, tournaments, triads, RESPONSES)


def _answers(survey: Survey, tournaments: Tournaments, triads: Triads, level: Level) -> list[Check]:
    scale = against_one_scale(tournaments, survey.seed)
    cycles = find_cycles(tournaments, triads, survey.seed, many=level is RESPONSES)
    answers = [_cycles_check(survey, tournaments, cycles, scale, level)]
    if scale is not None and tournaments.paired:
        answers.append(_fit_check(survey.seed, scale, cycles.found, level))
    return answers


def find_cycles(tournaments: Tournaments, triads: Triads, seed: int, *, many: bool = True, **sizes: int) -> Cycles:
    """Returns the tests of single triads and, where enough of them share no edge, of many.

    ``many=False`` leaves the second out: its votes must be independent given the strengths, and those of one prompt on
    several systems are not. ``sizes`` are the numbers of simulations of :func:`many_triads`.
    """
    votes = tournaments.votes
    around, among = triads.around(tournaments.wins_a, tournaments.wins_b), votes[triads.edges]
    p_values, forward = cycle_p_values(triads, tournaments.wins_a, tournaments.wins_b)
    rng = _generator(seed, 3)
    apart = edge_disjoint(triads, votes, MOST_TRIADS, rng) if many else np.empty(0, np.int64)
    tested = many_triads(around[apart], among[apart], rng, **sizes) if len(apart) >= LEAST_TRIADS else None
    adjusted = holm_adjusted(p_values)
    return Cycles(triads=triads, alone=p_values, adjusted=adjusted, forward=forward, many=tested, votes=among)


def _generator(seed: int, number: int) -> np.random.Generator:
    return np.random.default_rng([seed & (2**63 - 1), number])


def _title(level: Level) -> str:
    return f"Circles of preference between {level.title}"


def _cycles_check(
    survey: Survey, tournaments: Tournaments, cycles: Cycles, scale: OneScale | None, level: Level
) -> Check:
    name = f"transitivity{level.suffix}"
    verdict, meaning, advice = _answer(tournaments, cycles, level, survey.seed)
    if level is RESPONSES and cycles.found and (fixed := _share_in_one_order(survey.judgements)) > 0.5:
        meaning += f" Of the pairs with three votes or more, {fixed:.0%} were always shown in one order."
        advice = "Show each pair in both orders first: a bias towards one side makes circles of its own here. " + advice
    described = "" if scale is None else _described(scale, level)
    return Check(
        name=name,
        group=CONSISTENCY,
        title=_title(level),
        verdict=verdict,
        meaning=f"{meaning} {described}".strip(),
        advice=advice,
        findings=tuple(_cycle_findings(name, level, cycles, scale, survey.seed)),
        examples=_examples(survey, tournaments, cycles, level),
        charts=() if scale is None else _charts(scale, level),
        details={
            "triads": len(cycles.triads),
            "triads_apart": cycles.many.triads if cycles.many else 0,
            "votes_per_edge": float(np.median(cycles.votes)) if len(cycles.votes) else None,
            "ties": int(tournaments.ties.sum()),
            "groups_sampled": bool(scale and scale.cut),
        },
    )


def _answer(tournaments: Tournaments, cycles: Cycles, level: Level, seed: int) -> tuple[Verdict, str, str]:
    """The verdict on cycles, what it means, and what to do."""
    shown, many, count = cycles.shown, cycles.many, len(cycles.triads)
    if not count:
        why = (
            f"Cannot tell: votes go round in long loops, but no three {level.item}s were all compared with each other."
        )
        return Verdict.CANNOT_TELL, why, ASK_PAIRS
    if cycles.found:
        parts = []
        if many is not None and many.p_value <= MANY_LEVEL:
            parts.append(
                f"in an estimated {many.share:.0%} ({many.low:.0%} to {many.high:.0%}) of {many.triads:,} triads of "
                f"{level.title} most {level.voter} prefer A to B, B to C and C to A (p = {many.p_value:.3f})"
            )
        if len(shown):
            parts.append(f"{len(shown):,} of {count:,} triads are such a circle beyond doubt, each by itself")
        meaning = "Preferences go in circles: " + "; ".join(parts) + ". Noise does not make these."
        advice = (
            "No score can follow a circle: a reward model will learn an average, and which one depends on which pairs "
            "were asked. Read the circles below for what each pair was decided by; ask about one quality at a time, or "
            "fit groups of annotators."
        )
        return Verdict.CONCERN, meaning, advice
    design = f"{count:,} triads with a median of {np.median(cycles.votes):.0f} votes a pair"
    reference = f"circles in {_planted(cycles)} (majorities of {REFERENCE_STRENGTH:.0%})"
    if cycles.power >= ENOUGH_POWER:
        meaning = f"No circles beyond chance in {design}; {reference} would have been found with probability "
        return Verdict.FINE, meaning + f"{cycles.power:.2f}.", ""
    needed = _needed(cycles, seed)
    meaning = (
        f"Cannot tell: {design} would show {reference} with probability {_chance(cycles.power)} only. "
        "Single votes go in circles by chance, even where every majority is transitive."
    )
    return Verdict.CANNOT_TELL, meaning, needed


def _chance(power: float) -> str:
    return f"{power:.2f}" if power >= 0.005 else "under .01"


def _planted(cycles: Cycles) -> str:
    if cycles.many is None:
        return "one triad"
    planted = max(1, round(REFERENCE_SHARE * cycles.many.triads))
    return f"{planted:,} of {cycles.many.triads:,} triads"


def _needed(cycles: Cycles, seed: int) -> str:
    """The advice that names the votes which the same triads would need."""
    single = single_votes_needed(SINGLE_LEVEL / max(len(cycles.triads), 1))
    if cycles.many is None:
        return f"{single} votes on every pair would show a circle of that strength with probability .9."
    strengths = cycles.many.transitive
    if np.median(cycles.votes) < KNOWN_STRENGTHS:
        strengths = np.ones(len(strengths))
    many = votes_needed(strengths, cycles.many.triads, _generator(seed, 4))
    each = single if many is None else min(single, many)
    return f"About {each} votes on every pair of these triads would show them with probability .9."


def _share_in_one_order(judgements: Judgements) -> float:
    """Share of the pairs with three judgements or more whose order shown is known and always the same."""
    pairs, chosen = judgements.pairs, independent_pairs(judgements)
    chosen = chosen[pairs.ordered[chosen]]
    if not len(chosen):
        return 0.0
    count = np.bincount(pairs.unit[chosen])
    turned = np.bincount(pairs.unit[chosen], weights=pairs.flipped[chosen])
    often = count >= 3
    return float(np.mean((turned == 0)[often] | (turned == count)[often])) if often.any() else 0.0


def _described(scale: OneScale, level: Level) -> str:
    cyclic = scale.measure("cyclic_triads")
    if cyclic is None:
        return ""
    return (
        f"Majorities were cyclic in {cyclic.estimate:.1%} of triads; one score per {level.item} gives "
        f"{cyclic.null_low:.1%} to {cyclic.null_high:.1%} on the same design."
    )


def _cycle_findings(name: str, level: Level, cycles: Cycles, scale: OneScale | None, seed: int) -> list[Finding]:
    found = []
    if cycles.many is not None:
        many = cycles.many
        details = {"p_value": many.p_value, "level": MANY_LEVEL, "power": many.power}
        found.append(
            finding(
                name,
                "cyclic_majorities",
                many.share,
                many.low,
                many.high,
                n=many.triads,
                seed=seed,
                subject=level.subject,
                details=details,
            )
        )
    measures = () if scale is None else scale.measures
    return found + [_finding(name, m, level, seed) for m in measures]


def _finding(check: str, measure: Measure, level: Level, seed: int) -> Finding:
    return finding(
        check,
        measure.name,
        measure.estimate,
        measure.low,
        measure.high,
        n=measure.n,
        seed=seed,
        subject=level.subject,
        details={"null_low": measure.null_low, "null_high": measure.null_high, "p_value": measure.p_value},
    )


def _examples(survey: Survey, tournaments: Tournaments, cycles: Cycles, level: Level) -> tuple[Example, ...]:
    """Three rows of each circle that is shown by itself, or of the likeliest ones where only many show it."""
    if not cycles.found:
        return ()
    sure = len(cycles.shown) > 0
    circle = "Circle" if sure else "Likely circle"
    examples = []
    for number, triad in enumerate((cycles.shown if sure else cycles.likeliest)[:SHOWN_CYCLES], start=1):
        for place, edge in enumerate(cycles.triads.edges[triad]):
            for_a = bool(cycles.forward[triad]) != (place == 2)
            examples.append(_example(survey, tournaments, int(edge), for_a, f"{circle} {number}", level))
    return tuple(shown for shown in examples if shown is not None)


def _example(
    survey: Survey, tournaments: Tournaments, edge: int, for_a: bool, circle: str, level: Level
) -> Example | None:
    """A row that votes with the majority of an edge: one whose texts are at hand where there is one."""
    votes = tournaments.vote_comparison[(tournaments.vote_edge == edge) & (tournaments.vote_for_a == for_a)]
    if not len(votes):
        return None
    judgements = survey.judgements
    comparison = int(next((number for number in votes if int(number) in survey.sample), votes[0]))
    with_it = int((tournaments.wins_a if for_a else tournaments.wins_b)[edge])
    names = ""
    if level is SYSTEMS:
        ends = sorted(judgements.policy_names)
        a, b = ends[tournaments.a[edge]], ends[tournaments.b[edge]]
        names = f": {a if for_a else b} over {b if for_a else a}"
    why = f"{circle}{names}: {with_it} of {int(tournaments.votes[edge])} votes agree with this row"
    return example(survey, comparison, why)


def _charts(scale: OneScale, level: Level) -> tuple[Chart, ...]:
    """Observed shares as points, and as intervals what one score per item gives."""
    rows = [
        {
            "label": {"gradient": "a score", "curl": "circles of three", "harmonic": "longer loops"}[measure.name],
            "estimate": measure.estimate,
            "low": measure.null_low,
            "high": measure.null_high,
            "n": measure.n,
            "flagged": not measure.null_low <= measure.estimate <= measure.null_high,
        }
        for measure in scale.measures
        if measure.name in HODGE_PARTS
    ]
    if not rows:
        return ()
    title = f"What explains the votes between {level.title} (point), beside 95% of what one score gives (bar)"
    return (Chart(kind="intervals", title=title, x_title="share of squares (HodgeRank)", y_title="", rows=tuple(rows)),)


def _fit_check(seed: int, scale: OneScale, cycles_found: bool, level: Level) -> Check:
    name = f"bradley_terry_fit{level.suffix}"
    title = f"Fit of one score per {level.item}"
    measure = scale.dispersion
    votes = f"votes on {counted(scale.groups, 'prompt')}" if level is RESPONSES else "votes between systems"
    figures = (
        f"the {votes} lie {measure.estimate:.2f} times as far from the fitted Bradley-Terry "
        f"model as they would if it were true (95% of simulations: {measure.null_low:.2f} to {measure.null_high:.2f}, "
        f"p = {measure.p_value:.3f})"
    )
    if measure.p_value <= MISFIT_LEVEL:
        cause = "The circles above are part of it." if cycles_found else "No circles are needed for that: lapses do it."
        return Check(
            name=name,
            group=CONSISTENCY,
            title=title,
            verdict=Verdict.NOTE,
            meaning=f"Not quite: {figures}. {cause}",
            advice=(
                "A reward model trained on such votes misjudges how sure preferences are. Look for annotators who "
                "lapse or differ, model ties as ties, and trust the order of scores more than their differences."
            ),
            findings=(_finding(name, measure, level, seed),),
        )
    few = scale.mean_votes < LEAST_VOTES
    start = "Cannot tell: with hardly a second vote on any pair a wrong model looks right too; " if few else "Yes: "
    return Check(
        name=name,
        group=CONSISTENCY,
        title=title,
        verdict=Verdict.CANNOT_TELL if few else Verdict.FINE,
        meaning=f"{start}{figures}.",
        advice="Have pairs judged by several people." if few else "",
        findings=(_finding(name, measure, level, seed),),
    )
