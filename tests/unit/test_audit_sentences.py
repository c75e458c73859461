"""Files at the edge: no warning, no figure that means nothing, and few data or one answer never raise a concern."""

from __future__ import annotations

import random
import re
import warnings
from dataclasses import replace

import numpy as np
import pytest

from candor.auditing.describe import NAMES, ResponseFeatures
from candor.audits.preferences import agreement, annotators, label_errors, learning_curve, position, transitivity
from candor.audits.preferences import what_labels_reward as reward
from candor.audits.preferences.consistency import consistency
from candor.audits.preferences.effects import Effect
from candor.audits.preferences.rates import counted
from candor.audits.preferences.regression import clustered_logit
from candor.audits.preferences.retests import Retests
from candor.audits.preferences.survey import Numbered, survey
from candor.audits.preferences.wording import detectable, odds
from candor.records import Check, Choice, Comparison, Verdict
from judged import comparison
from made_up_text import sentence

CHECKS = (agreement, annotators, reward, position, transitivity, label_errors, learning_curve)


def said(data: list[Comparison]) -> dict[str, Check]:
    """The checks of a file; any warning of numpy's is an error here."""
    numbered = [Numbered(row=i + 1, comparison=c) for i, c in enumerate(data)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = survey(numbered, describe=ResponseFeatures(), feature_names=NAMES)
        return {check.name: check for module in CHECKS for check in module.checks(found)}


def pairs(count: int, seed: int = 0, **changes: object) -> list[Comparison]:
    """Every second one is the one before it, shown the other way round to somebody."""
    rng, data = random.Random(seed), []
    for i in range(count):
        if i % 2:
            made = replace(data[-1], shown_order=data[-1].shown_order[::-1], annotator=f"a{rng.randrange(6)}")
        else:
            texts = sentence(rng, rng.randrange(4, 30)), sentence(rng, rng.randrange(4, 30))
            shown = rng.choice([(0, 1), (1, 0)])
            made = comparison(Choice(best=rng.randrange(2)), *texts, prompt=sentence(rng, 9), shown=shown)
            made = replace(made, annotator=f"a{rng.randrange(6)}")
        data.append(replace(made, id=f"c{i}", seconds=rng.uniform(5, 60), **changes))
    return data


def test_a_file_of_ties_alone_shows_nothing_and_says_so() -> None:
    found = said(pairs(300, judgement=Choice(best=None, tie=True)))
    assert {check.verdict for check in found.values()} <= {Verdict.CANNOT_TELL, Verdict.FINE}
    assert "every judged pair is a tie" in found["what_labels_reward"].meaning
    assert "is a tie" in found["position_bias"].meaning
    assert found["self_consistency"].verdict is Verdict.CANNOT_TELL  # not: no better than coins
    assert "gave the same answer" in found["agreement"].meaning
    assert "nan" not in " ".join(check.meaning for check in found.values())


def test_pairs_that_were_all_shown_both_ways_give_no_warning() -> None:
    found = said(pairs(200, annotator="ann"))  # clustered by prompt alone, where the two orders cancel exactly
    assert "The order looks random" in found["position_bias"].meaning


def test_one_of_a_thing_is_singular() -> None:
    rng = random.Random(0)
    one = comparison(Choice(best=0), sentence(rng, 5), sentence(rng, 6), shown=(0, 1), annotator="ann", seconds=5.0)
    words = " ".join(check.meaning for check in said([one]).values())
    assert re.search(r"\b1 (pairs|judgements|annotators|prompts|judged pairs)\b", words) is None
    assert [counted(1, "pair"), counted(0, "pair"), counted(36000, "pair")] == ["1 pair", "0 pairs", "36,000 pairs"]


def test_estimates_of_nothing_without_error_have_the_p_value_one() -> None:
    fit = clustered_logit(np.ones((40, 1)), np.full(40, 0.5), [np.arange(40)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fit.p_values.tolist() == [1.0]


def test_odds_ratios_that_no_data_show_are_not_written_out() -> None:
    effect = Effect(
        name="hedging", scale=1.0, per_unit=True, n=100, differ=12,
        estimate=0.5, low=-9.0, high=25.0, error=8.0, df=9.0, p=0.9, adjusted=0.9, detectable=150.0,
    )  # fmt: skip
    assert odds(effect) == "1.65 [under 0.01, over 1,000]"
    assert "an odds ratio of over 1,000 would" in detectable(effect)
    assert "an odds ratio of 4.48 or more would" in detectable(replace(effect, detectable=1.5))


def test_times_of_nothing_are_left_out_aloud() -> None:
    data = pairs(240)
    data = [replace(c, seconds=(0.0, -4.0)[i % 2]) if i < 30 else c for i, c in enumerate(data)]
    check = said(data)["speed"]
    assert "Left out: 30 judgements with a time of 0 seconds or less." in check.meaning
    assert check.findings[0].n == 210
    low, high = check.findings[0].ci_low, check.findings[0].ci_high
    assert low is not None and high is not None and low < np.median([c.seconds for c in data[30:]]) < high  # noqa: PT018
    assert "30 judgements have" not in said(data[:90])["speed"].meaning  # 60 have a time, not 90
    assert "60 judgements have a time" in said(data[:90])["speed"].meaning


def test_what_annotators_are_called_changes_no_interval() -> None:
    data = pairs(300)
    names = dict(zip("012345", "480913", strict=True)) | {"3": "7", "4": "2", "5": "1"}
    called = [replace(c, annotator=f"z{names[c.annotator[1]]}") for c in data]
    one, other = said(data)["annotators"], said(called)["annotators"]
    assert [(f.metric, f.ci_low, f.ci_high) for f in one.findings] == [
        (f.metric, f.ci_low, f.ci_high) for f in other.findings
    ]


def test_annotators_who_all_repeat_themselves_have_an_interval() -> None:
    n = np.full(8, 5.0)
    none = np.zeros(8)
    nan = np.full(8, np.nan)
    made = Retests(
        n=n, consistent=n, chance=np.full(8, 0.5), swapped=nan, swapped_n=none, same_order=nan, same_order_n=none
    )
    (found,) = consistency(made, 0).findings
    assert found.ci_low == pytest.approx(1 - 1.96**2 / (40 + 1.96**2), abs=1e-4)  # Wilson's, of 40 out of 40
