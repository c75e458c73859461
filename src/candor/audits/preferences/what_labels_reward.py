"""What the labels reward: features of responses that go with being preferred, each with an odds ratio and interval.

Associations, not causes: a feature may stand for something that was not measured (longer answers are often better
ones). Only pairs that are minimal edits of one another show a cause, and they are told apart. The model, its errors and
the rules of the verdicts are in docs/what-labels-reward.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from candor.audits.preferences.effects import AGREEMENT, MIN_PAIRS, SIDE, Design, Effect, LabelEffects, label_effects
from candor.audits.preferences.form import REWARDED, cannot_tell
from candor.audits.preferences.language import FOREIGN, foreign
from candor.audits.preferences.minimal_edits import MinimalEdits, minimal_edits
from candor.audits.preferences.survey import Survey
from candor.audits.preferences.sycophancy import sycophancy
from candor.audits.preferences.telling import telling_examples
from candor.audits.preferences.wording import (
    LENGTH,
    band,
    caveats,
    effect_finding,
    effects_chart,
    least_found,
    listed,
    odds,
    sentence,
    title,
)
from candor.records import Check, Verdict

NAME, TITLE = "what_labels_reward", "Style that goes with being preferred"
EDITS_TITLE = "Pairs that differ in one thing only"

ASSOCIATION = "These are associations, not causes: a feature may stand for something that was not measured."
LENGTH_ADVICE = (
    "Before training, compare responses of like length, or give the reward model length as an input of its own and "
    "leave that part out of the reward; watch the length of the policy's replies."
)
ADVICE = (
    "Decide whether you want each of these. If not, collect pairs that are matched on it, leave out or down-weight "
    "pairs that it decides, or regress it out of the reward."
)


def checks(survey: Survey) -> list[Check]:
    """Returns what the labels reward: style, pairs that are minimal edits (where there are any), and agreement."""
    design = Design(survey.judgements, seed=survey.seed)
    found = label_effects(survey.judgements, seed=survey.seed, design=design)
    edits = minimal_edits(survey, design)
    apart = [_edits_check(survey, found, edits)] if edits.effects else []
    return [_style_check(survey, design, found), *apart, sycophancy(survey, design, found)]


def _style_check(survey: Survey, design: Design, found: LabelEffects) -> Check:
    effects = [effect for effect in found.effects if effect.name not in (SIDE, AGREEMENT)]
    if not effects:
        return cannot_tell(NAME, REWARDED, TITLE, "Cannot tell what the labels reward: no features were measured.")
    if not any(effect.known for effect in effects):
        why = (
            next((e.why_not for e in effects if e.why_not and (len(design) < MIN_PAIRS or design.all_tied)), "")
            or "no feature differs often enough"
        )
        return cannot_tell(
            NAME, REWARDED, TITLE, f"Cannot tell what the labels reward: {why}.", "Some hundred comparisons are needed."
        )
    verdict = _overall(effects)
    return Check(
        name=NAME,
        group=REWARDED,
        title=TITLE,
        verdict=verdict,
        meaning=_meaning(effects, found) + caveats(effects) + (OTHER_LANGUAGE if foreign(survey) else ""),
        advice=_advice(effects, verdict),
        findings=tuple(effect_finding(NAME, effect, survey.seed) for effect in effects),
        examples=tuple(
            e for effect in _of(effects, Verdict.CONCERN)[:3] for e in telling_examples(survey, design, found, effect)
        ),
        charts=(effects_chart(effects, "What goes with being preferred, all else equal"),),
        details={
            "clustering": found.clustering,
            "clusters": list(found.clusters),
            "pairs": len(found.pairs),
            "sampled": found.sampled,
            "sentences": [sentence(effect) for effect in effects],
        },
    )


def _overall(effects: Sequence[Effect]) -> Verdict:
    """The worst that was found; where nothing was, ``cannot tell`` if most features could not be told."""
    for verdict in (Verdict.CONCERN, Verdict.NOTE):
        if _of(effects, verdict):
            return verdict
    unknown = len(_of(effects, Verdict.CANNOT_TELL))
    return Verdict.CANNOT_TELL if 2 * unknown > len(effects) else Verdict.FINE


def _of(effects: Sequence[Effect], verdict: Verdict) -> list[Effect]:
    return sorted((e for e in effects if e.verdict is verdict), key=lambda e: -abs(e.estimate) if e.known else 0.0)


def _meaning(effects: Sequence[Effect], found: LabelEffects) -> str:
    concerns, notes = _of(effects, Verdict.CONCERN), _of(effects, Verdict.NOTE)
    said = [_lead(concerns)] if len(concerns) > 1 else []
    said += [sentence(effect) for effect in concerns[:3]]
    if len(concerns) > 3:
        said.append(f"Also {listed([f'{title(e.name)} {odds(e)}' for e in concerns[3:]])}.")
    if notes:
        said.append(f"Smaller or less sure: {listed([f'{title(e.name)} {odds(e)}' for e in notes])}.")
    if not concerns and not notes:
        told = _of(effects, Verdict.FINE)
        if told:
            said.append(
                f"No feature is shown to be rewarded or penalised; for {listed([title(e.name) for e in told])} an "
                f"odds ratio outside {band()} is ruled out."
            )
        else:
            said.append("No feature is shown to be rewarded or penalised, nor is a moderate effect of any ruled out.")
    unknown = [e for e in _of(effects, Verdict.CANNOT_TELL) if not e.known]
    wide = [e for e in _of(effects, Verdict.CANNOT_TELL) if e.known]
    if wide:
        least = [f"{title(e.name)} ({least_found(e)})" for e in wide]
        said.append(f"Too wide to tell, with the odds ratio that would be found with power 0.9: {listed(least)}.")
    if unknown:
        said.append(f"Not estimated: {_reasons(unknown)}.")
    said.append(f"{len(found.pairs):,} judged pairs; errors clustered by {found.clustering}.")
    if concerns or notes:
        said.append(ASSOCIATION)
    return " ".join(said)


OTHER_LANGUAGE = (
    f" {FOREIGN}: only length, formatting, exclamation marks and questions at the end mean anything there, since the "
    "other features count English words."
)


def _lead(concerns: Sequence[Effect]) -> str:
    """All concerns by name, since a summary shows the first sentence alone."""
    ways = (("reward", [e for e in concerns if e.estimate > 0]), ("penalise", [e for e in concerns if e.estimate < 0]))
    told = [f"{way} {listed([f'{title(e.name)} ({odds(e)})' for e in those])}" for way, those in ways if those]
    return f"Labels {' and '.join(told)}, as odds ratios of being preferred."


def _reasons(effects: Sequence[Effect]) -> str:
    """The effects that were not estimated, with why, those with one reason together."""
    reasons: dict[str, list[str]] = {}
    for effect in effects:
        reasons.setdefault(effect.why_not, []).append(title(effect.name))
    parts = []
    for why, names in reasons.items():
        if len(names) > 1:
            why = why.replace("it never differs", "they never differ").replace("it differs", "each differs")
        parts.append(f"{listed(names)} ({why})")
    return "; ".join(parts)


def _advice(effects: Sequence[Effect], verdict: Verdict) -> str:
    concerns = [effect.name for effect in _of(effects, Verdict.CONCERN)]
    if verdict is Verdict.CANNOT_TELL:
        return "More comparisons, by more annotators, would tell."
    parts = [LENGTH_ADVICE] if LENGTH in concerns else []
    if any(name != LENGTH for name in concerns):
        parts.append(ADVICE)
    return " ".join(parts)


def _edits_check(survey: Survey, found: LabelEffects, edits: MinimalEdits) -> Check:
    effects = edits.effects
    return Check(
        name="minimal_edits",
        group=REWARDED,
        title=EDITS_TITLE,
        verdict=_overall(effects),
        meaning=(
            f"{edits.pairs:,} judged pairs share most of their words and differ in one feature only, so that what "
            f"decides them is that feature (or the words that make it): {' '.join(sentence(e) for e in effects)}"
        ),
        advice=ADVICE if _of(effects, Verdict.CONCERN) else "",
        findings=tuple(effect_finding("minimal_edits", effect, survey.seed) for effect in effects),
        charts=(effects_chart(effects, EDITS_TITLE),),
        details={"clustering": found.clustering, "pairs": edits.pairs},
    )
