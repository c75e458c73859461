"""How effects are told: names of features, what one step of one is, and sentences with the figures in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from candor.audits.preferences.effects import AGREEMENT, EQUIVALENT, SIDE, TARGET, Effect
from candor.audits.preferences.form import finding
from candor.records import Chart, Finding, Verdict

LENGTH = "log_words"
MOST_RATIO = 1000
"""Odds ratios above it are not written out."""

_TITLES = {
    LENGTH: "length",
    "formatting": "markdown formatting",
    "flattery": "praise of the user",
    "ai_disclaimer": "speaking of itself as an AI",
    "ends_with_question": "ending with a question",
    "exclamations": "exclamation marks",
    "first_person": "the first person",
    AGREEMENT: "agreement with the user's stated view",
    "agreement_false": "agreeing with a false belief",
    "agreement_true": "agreeing with a true belief",
    "agreement_doubt": "giving in to doubt of a truth",
    "false_less_true": "agreeing with false rather than true beliefs",
    SIDE: "being shown first",
}


def title(name: str) -> str:
    """A feature's name in words."""
    return _TITLES.get(name, name.replace("_", " "))


def odds(effect: Effect) -> str:
    """An odds ratio with its interval: ``1.40 [1.30, 1.51]``."""
    return f"{_ratio(effect.estimate)} [{_ratio(effect.low)}, {_ratio(effect.high)}]"


def step(effect: Effect) -> str:
    """What one step of a feature is, in words that follow "a response ..."."""
    if effect.name == LENGTH and not effect.per_unit:
        times = np.exp(effect.scale)
        return f"that is {times:.{2 if times < 1.1 else 1}f} times as long (one SD of the difference)"
    if effect.name == AGREEMENT:
        return "that agrees with the view that the user stated, over one that does not,"
    if effect.per_unit:
        return "with it, over one without it,"
    return f"with one SD more of it ({effect.scale:.2g})"


def sentence(effect: Effect) -> str:
    """What was found of one effect, in one or two sentences."""
    name = title(effect.name)
    if not effect.known:
        return f"Whether labels reward {name} cannot be told: {effect.why_not}."
    does = f"a response {step(effect)} is preferred {odds(effect)} times as often as the other, all else equal"
    match effect.verdict:
        case Verdict.CONCERN:
            way = "reward" if effect.estimate > 0 else "penalise"
            return f"Labels {way} {name}: {does}; a reward model will learn it."
        case Verdict.NOTE:
            way = "reward" if effect.estimate > 0 else "penalise"
            return f"Labels {way} {name}, perhaps only a little: {does}."
        case Verdict.FINE:
            return (
                f"{name[:1].upper()}{name[1:]} decides little: {does}, which leaves room for a moderate effect at most."
            )
    return f"Whether labels reward {name} cannot be told: {does}.{detectable(effect)}"


def detectable(effect: Effect) -> str:
    """The smallest effect that would be found, where one of 1.3 might be missed; "" elsewhere. Starts with a space."""
    if not effect.known or not effect.detectable > TARGET:
        return ""
    more = "" if effect.detectable > np.log(MOST_RATIO) else " or more"
    return (
        f" With these labels an odds ratio of {least_found(effect)}{more} would be found with power 0.9; "
        "smaller ones can be missed."
    )


def least_found(effect: Effect) -> str:
    """The odds ratio that would be found with power 0.9."""
    return _ratio(effect.detectable)


def effect_finding(check: str, effect: Effect, seed: int) -> Finding:
    """The odds ratio of one effect as a finding, with all that its verdict rests on."""
    details: dict[str, object] = {
        "title": title(effect.name),
        "verdict": effect.verdict.value,
        "sentence": sentence(effect),
        "step": effect.scale,
        "unit": "0 or 1" if effect.per_unit else "SD of the difference",
        "differ": effect.differ,
    }
    numbers = {
        "log_odds": effect.estimate,
        "standard_error": effect.error,
        "df": effect.df,
        "p": effect.p,
        "p_adjusted": effect.adjusted,
        "minimum_detectable_odds_ratio": np.exp(effect.detectable),
        "variance_inflation": effect.inflation,
    }
    details |= {key: float(value) for key, value in numbers.items() if np.isfinite(value)}
    details |= {key: value for key, value in (("penalised", effect.penalised), ("why_not", effect.why_not)) if value}
    return finding(
        check,
        "odds_ratio",
        *np.exp([effect.estimate, effect.low, effect.high]),
        n=effect.n,
        seed=seed,
        subject=effect.name,
        details=details,
    )


def effects_chart(effects: Sequence[Effect], heading: str) -> Chart:
    """Returns a chart of odds ratios with their intervals, the largest effect first."""
    shown = sorted((e for e in effects if e.known), key=lambda e: -abs(e.estimate))
    return Chart(
        kind="intervals",
        title=heading,
        x_title="times as often preferred (odds ratio)",
        y_title="",
        rows=tuple(
            {
                "label": title(e.name),
                "estimate": float(np.exp(e.estimate)),
                "low": float(np.exp(e.low)),
                "high": float(np.exp(e.high)),
                "n": e.n,
                "flagged": e.verdict is Verdict.CONCERN,
            }
            for e in shown
        ),
        reference=1.0,
    )


def caveats(effect_list: Sequence[Effect]) -> str:
    """What has to be said of the fit: a penalty, features that go together. Starts with a space where not empty."""
    said = []
    penalties = {e.penalised for e in effect_list if e.penalised}
    if any("separated" in p for p in penalties):
        said.append(
            "Features decide pairs without exception, so the fit is penalised (Firth) and such an effect has no upper "
            "limit that the data show."
        )
    elif penalties:
        said.append("There are few pairs for so many features, so the fit is penalised (Firth).")
    together = [title(e.name) for e in effect_list if e.known and 10 < e.inflation < np.inf]
    if len(together) > 1:
        said.append(f"{_listed(together)} go together so closely that their effects can hardly be told apart.")
    return "".join(f" {text}" for text in said)


def band() -> str:
    """The band of moderate effects in words."""
    return f"{np.exp(-EQUIVALENT):.2f} to {np.exp(EQUIVALENT):.2f}"


def _ratio(log_odds: float) -> str:
    """An odds ratio in words; beyond 1,000 no figure means anything, and the data do not show one."""
    if log_odds > np.log(MOST_RATIO):
        return f"over {MOST_RATIO:,}"
    value = float(np.exp(log_odds))
    return "under 0.01" if value < 0.01 else f"{value:.2f}" if value < 9.995 else f"{value:.3g}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def listed(names: Sequence[str]) -> str:
    """``a, b and c``. Raises IndexError for none."""
    return _listed(names)
