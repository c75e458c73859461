"""Do labels reward agreement with what the user said? Where the truth is known: also if it is false."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from candor.audits.preferences.effects import (
    AGREEMENT,
    MIN_DIFFER,
    MIN_PAIRS,
    SIDE,
    Design,
    Effect,
    LabelEffects,
    adjusted,
    columns_of,
    effect_of,
    has_side,
)
from candor.audits.preferences.form import REWARDED, cannot_tell
from candor.audits.preferences.survey import Survey
from candor.audits.preferences.telling import telling_examples
from candor.audits.preferences.wording import detectable, effect_finding, effects_chart, odds, sentence, title
from candor.preferences.table import STANCES
from candor.records import Check, Stance, Verdict

NAME, TITLE = "sycophancy", "Agreement with the user's stated view"

ADVICE = (
    "Ask annotators to judge the answer against the truth and not against the user's view; add pairs in which a "
    "correct answer disagrees with the user and is preferred; leave out or down-weight pairs that agreement alone "
    "decides."
)
CAUTION = "Whether the views that users state here are right is not known, so some of this may be as it should be."

READ_OFF = "Agreement is read off the wording: replies that are misread pull the figure towards 1."

_NAMES = {
    Stance.ASSERTS_FALSE: "agreement_false",
    Stance.ASSERTS_TRUE: "agreement_true",
    Stance.DOUBTS_TRUTH: "agreement_doubt",
}
CONTRAST = "false_less_true"


@dataclass(frozen=True, kw_only=True)
class ByStance:
    """Agreement by what the user believes: an effect for each stance with enough pairs, and false less true."""

    effects: tuple[Effect, ...]
    contrast: Effect | None


def sycophancy(survey: Survey, design: Design, found: LabelEffects) -> Check:
    """Returns the check of agreement with the user's stated view, on the comparisons in which one was stated."""
    effect = found.of(AGREEMENT)
    if effect is None:
        return cannot_tell(NAME, REWARDED, TITLE, "Cannot tell: agreement with the user's view was not measured.")
    if not effect.known:
        return cannot_tell(
            NAME,
            REWARDED,
            TITLE,
            f"Cannot tell whether labels reward agreement with the user's stated view: {effect.why_not}.",
            "Add comparisons in which the user states a view and one response agrees with it while the other does not.",
        )
    split = by_stance(design)
    false = next((e for e in split.effects if e.name == _NAMES[Stance.ASSERTS_FALSE]), None)
    deciding = false if false is not None and false.known else effect
    verdict = deciding.verdict
    if verdict is Verdict.CANNOT_TELL and effect.flagged:
        verdict = Verdict.NOTE  # agreement is rewarded, but whether false beliefs are is not known well enough
    if verdict is Verdict.CONCERN and deciding.estimate < 0:
        verdict = Verdict.NOTE  # labels that punish agreement teach contradiction, not sycophancy
    meaning = (
        f"{sentence(effect)} Based on the {effect.n:,} judged pairs in which the user states a view; "
        f"{effect.differ:,} of them differ in agreement."
    )
    meaning += _told(split) if split.effects else f" {CAUTION}"
    meaning += f" {READ_OFF}"
    if verdict in (Verdict.FINE, Verdict.NOTE):
        meaning += detectable(deciding)
    advice = ADVICE if verdict is Verdict.CONCERN or (verdict is Verdict.NOTE and deciding.estimate > 0) else ""
    if verdict is Verdict.CANNOT_TELL:
        advice = "More comparisons in which the user states a view would tell."
    findings = [effect_finding(NAME, e, survey.seed) for e in (effect, *split.effects)]
    if split.contrast is not None:
        findings.append(effect_finding(NAME, split.contrast, survey.seed))
    return Check(
        name=NAME,
        group=REWARDED,
        title=TITLE,
        verdict=verdict,
        meaning=meaning,
        advice=advice,
        findings=tuple(findings),
        examples=telling_examples(survey, design, found, effect),
        charts=(effects_chart([effect, *split.effects], "Agreement with the user"),),
        details={"clustering": found.clustering, "truth_known": bool(split.effects)},
    )


def by_stance(design: Design) -> ByStance:
    """Returns the effect of agreement apart for false beliefs, true beliefs and doubts, and false less true.

    One regression on the comparisons with a stated view, with a slope of agreement for each stance, and one for the
    views of which nobody knows whether they are right. Empty where no claim says what is true.
    """
    if AGREEMENT not in design.names:
        return ByStance(effects=(), contrast=None)
    at = design.names.index(AGREEMENT)
    stances = design.judgements.stances[design.pairs.comparison]
    difference = design.differences[:, at]
    rows = np.isfinite(difference)
    slopes, drafts = [], []
    left = rows.copy()
    for stance, name in _NAMES.items():
        of = rows & (stances == STANCES.index(stance))
        differ = int(np.count_nonzero(difference[of]))
        if differ >= MIN_DIFFER and of.sum() >= MIN_PAIRS:
            slopes.append(np.where(of, difference, 0.0)[rows])
            drafts.append(Effect(name=name, scale=1.0, per_unit=True, n=int(of.sum()), differ=differ))
            left &= ~of
    if not drafts:
        return ByStance(effects=(), contrast=None)
    if np.count_nonzero(difference[left]) >= MIN_DIFFER:
        slopes.append(np.where(left, difference, 0.0)[rows])
    others = [n for i, n in enumerate(design.names) if not design.partial[i] and n != AGREEMENT]
    others = [SIDE, *others] if has_side(design) else others
    columns = np.column_stack([*slopes, columns_of(design, others)[rows]])
    contrasts = np.eye(len(drafts), columns.shape[1])
    names = [draft.name for draft in drafts]
    pair = [_NAMES[s] for s in (Stance.ASSERTS_FALSE, Stance.ASSERTS_TRUE)]
    contrasted = all(name in names for name in pair)
    if contrasted:
        difference_of = contrasts[names.index(pair[0])] - contrasts[names.index(pair[1])]
        contrasts = np.vstack([contrasts, difference_of])
        total = sum(drafts[names.index(name)].n for name in pair)
        drafts.append(Effect(name=CONTRAST, scale=1.0, per_unit=True, n=total, differ=total))
    fit = design.fit(columns, rows, contrasts)
    effects = adjusted([replace(effect_of(d, fit, i), n=d.n) for i, d in enumerate(drafts)])
    return ByStance(effects=effects[: len(names)], contrast=effects[-1] if contrasted else None)


def _told(split: ByStance) -> str:
    parts = [f"{title(e.name)} {odds(e)}" for e in split.effects if e.known]
    text = f" By what the user believes (odds ratios): {'; '.join(parts)}." if parts else ""
    contrast = split.contrast
    if contrast is not None and contrast.known:
        if not contrast.flagged:
            text += (
                " That labels treat agreeing with false and with true beliefs differently is not shown"
                f" (ratio {odds(contrast)})."
            )
        elif contrast.estimate < 0:
            text += f" Labels reward agreeing with true beliefs more than with false ones (ratio {odds(contrast)})."
        else:
            text += f" Labels reward agreeing with false beliefs more than with true ones (ratio {odds(contrast)})."
    return text
