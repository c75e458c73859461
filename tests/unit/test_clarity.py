"""Clear, contested and arbitrary pairs: planted shares come back, and what nobody asked twice cannot be told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from candor.audits.preferences import clarity
from candor.audits.preferences.survey import Numbered, Survey, survey
from candor.records import Choice, Comparison, Verdict
from judged import comparison


def read(data: list[Comparison]) -> Survey:
    return survey([Numbered(row=i + 1, comparison=c) for i, c in enumerate(data)])


def planted(
    rng: np.random.Generator,
    shares: tuple[float, float, float],
    *,
    pairs: int = 300,
    annotators: int = 4,
    times: int = 2,
) -> list[Comparison]:
    """``shares`` of clear, contested and arbitrary pairs, each judged ``times`` times by each of the annotators."""
    data = []
    for i, kind in enumerate(rng.choice(3, size=pairs, p=shares)):
        truth = rng.integers(2)
        for a in range(annotators):
            view = rng.integers(2)
            for t in range(times):
                best = int((truth, view, rng.integers(2))[kind])
                judged = comparison(Choice(best=best), f"one {i}", f"two {i}", prompt=f"p{i}", annotator=f"a{a}")
                data.append(replace(judged, seconds=float(t), id=f"{i}-{a}-{t}"))
    return data


def estimates(data: list[Comparison]) -> dict[str, tuple[float | None, float | None, float | None]]:
    (check,) = clarity.checks(read(data))
    return {f.metric: (f.estimate, f.ci_low, f.ci_high) for f in check.findings}


def test_planted_shares_come_back_within_their_intervals() -> None:
    truth = {"clear": 0.6, "contested": 0.25, "arbitrary": 0.15}
    covered = dict.fromkeys(truth, 0)
    means = dict.fromkeys(truth, 0.0)
    for seed in range(40):
        found = estimates(planted(np.random.default_rng(seed), (0.6, 0.25, 0.15), pairs=150, annotators=3))
        for name, share in truth.items():
            estimate, low, high = found[name]
            assert estimate is not None and low is not None and high is not None  # noqa: PT018
            covered[name] += low <= share <= high
            means[name] += estimate / 40
    assert means == {name: pytest.approx(share, abs=0.03) for name, share in truth.items()}
    assert all(count >= 33 for count in covered.values()), covered  # 40 at 95%: fewer than 33 once in 1,000


def test_agreement_by_hand() -> None:
    said = [("a", 0), ("a", 0), ("a", 1), ("b", 0)]  # by one: 1 of 3 pairs agree; by two: 2 of 3
    data = [
        replace(comparison(Choice(best=best), "x", "y", annotator=who), seconds=float(i))
        for i, (who, best) in enumerate(said)
    ]
    found = clarity.agreements(read(data))
    assert (found.self_consistency, found.agreement) == (pytest.approx(1 / 3), pytest.approx(2 / 3))


def test_the_verdict_follows_the_shares() -> None:
    rng = np.random.default_rng(1)
    (clear,) = clarity.checks(read(planted(rng, (1.0, 0.0, 0.0))))
    (contested,) = clarity.checks(read(planted(rng, (0.5, 0.5, 0.0))))
    (arbitrary,) = clarity.checks(read(planted(rng, (0.5, 0.0, 0.5))))
    assert (clear.verdict, contested.verdict, arbitrary.verdict) == (Verdict.FINE, Verdict.NOTE, Verdict.CONCERN)
    assert {example.why for example in contested.examples} == {"annotators differ"}
    assert arbitrary.examples[0].why == "one annotator judged it both ways"
    (few,) = clarity.checks(read(planted(rng, (0.4, 0.3, 0.3), pairs=12)))
    assert few.verdict is Verdict.CANNOT_TELL


def test_what_was_not_asked_cannot_be_told() -> None:
    rng = np.random.default_rng(2)
    once = planted(rng, (0.5, 0.2, 0.3), annotators=1, times=1)
    assert clarity.checks(read(once))[0].verdict is Verdict.CANNOT_TELL
    (no_retest,) = clarity.checks(read(planted(rng, (0.5, 0.2, 0.3), times=1)))
    assert no_retest.verdict is Verdict.CANNOT_TELL
    assert {f.metric for f in no_retest.findings} == {"agreement", "clear"}
    (no_overlap,) = clarity.checks(read(planted(rng, (0.5, 0.2, 0.3), annotators=1)))
    assert {f.metric for f in no_overlap.findings} == {"self_consistency", "arbitrary"}
    nobody = [replace(c, annotator="") for c in planted(rng, (0.5, 0.2, 0.3))]
    assert clarity.checks(read(nobody))[0].findings == ()


def test_copied_rows_are_no_second_judgement() -> None:
    data = planted(np.random.default_rng(3), (0.0, 0.0, 1.0))
    honest = estimates(data)["self_consistency"][0]
    copied = estimates([*data, *data])["self_consistency"][0]
    assert honest == pytest.approx(0.5, abs=0.05)
    assert copied == honest
    untimed = [replace(c, seconds=None) for c in data]
    doubled = estimates([*untimed, *untimed])["self_consistency"][0]  # control: without times they pass for retests
    assert doubled is not None
    assert doubled > 0.6


def test_no_guess_beats_the_ceiling() -> None:
    rng = np.random.default_rng(4)
    p = rng.beta(2, 2, size=100_000)
    best, agreement = np.maximum(p, 1 - p).mean(), (p**2 + (1 - p) ** 2).mean()
    assert best <= clarity.noise_ceiling(agreement) <= best + 0.04
    assert (clarity.noise_ceiling(1.0), clarity.noise_ceiling(0.5)) == (1.0, 0.5)


def test_many_prompts_are_resampled_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    data = planted(np.random.default_rng(5), (0.6, 0.2, 0.2), pairs=600, annotators=2)
    whole = estimates(data)["arbitrary"]
    monkeypatch.setattr(clarity, "BLOCKS", 100)
    blocks = estimates(data)["arbitrary"]
    assert whole[0] == pytest.approx(blocks[0])
    assert whole[1] == pytest.approx(blocks[1], abs=0.03)


def test_two_retests_do_not_make_every_pair_arbitrary() -> None:
    data = planted(np.random.default_rng(1), (1.0, 0.0, 0.0), pairs=200, annotators=2, times=1)
    data += [replace(c, id=f"{c.id}b", seconds=9.0, judgement=Choice(best=1 - c.judgement.best)) for c in data[:2]]
    (check,) = clarity.checks(read(data))
    assert check.verdict is Verdict.CANNOT_TELL
    assert "too few to tell" in check.meaning
    assert "arbitrary." not in check.meaning


def test_where_all_agree_the_intervals_still_have_a_width() -> None:
    found = estimates(planted(np.random.default_rng(1), (1.0, 0.0, 0.0), pairs=40, annotators=2))
    width = 1.96**2 / (40 + 1.96**2)  # Wilson's, of 40 out of 40
    assert found["self_consistency"] == pytest.approx((1.0, 1 - width, 1.0), abs=1e-4)
    assert found["arbitrary"] == pytest.approx((0.0, 0.0, 2 * width), abs=2e-4)
    assert found["clear"] == pytest.approx((1.0, 1 - 2 * width, 1.0), abs=2e-4)
    estimate, low, high = found["contested"]
    assert estimate == 0.0
    assert low is not None and high is not None and low < 0 < high  # noqa: PT018
