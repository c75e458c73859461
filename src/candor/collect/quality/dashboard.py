"""Everything that a lead sees of a project's quality, in one JSON document."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict
from threading import Lock
from typing import Any

from candor.audits.preferences import agreement, annotators, position, what_labels_reward
from candor.collect.quality.arm import ArmEffect, arm_effect
from candor.collect.quality.columns import Remembered, surveyed
from candor.collect.quality.gate import limits_json, said_of
from candor.collect.quality.measured import Annotator, measured
from candor.collect.quality.pay import Worked, skips_much
from candor.collect.quality.posterior import NOTHING
from candor.collect.quality.traps import TITLES, Traps, failing, traps
from candor.projects.labels import Judged
from candor.projects.overview import Overview
from candor.projects.settings import Gate
from candor.records import Check, Verdict


def dashboard(
    judged: Sequence[Judged],
    *,
    counts: Overview | None = None,
    workers: Sequence[Worked] = (),
    bounds: Gate | None = None,
    describe: Remembered | None = None,
) -> dict[str, Any]:
    """The document, from a project's answers (gold among them), its counts and what its annotators did.

    ``bounds``: the gate's, whose bound on gold answers holds for single annotators too.
    """
    survey = surveyed(judged, describe=describe)
    main = [one for one in judged if one.kind == "main"]
    gold, arm = traps(judged), arm_effect(judged)
    checks = [
        *agreement.checks(survey),
        *annotators.checks(survey),
        *position.checks(survey),
        *what_labels_reward.checks(survey),
    ]
    skipping = skips_much(workers)
    below = failing(gold, (bounds or Gate()).traps_at_least)

    def remarks(name: str) -> list[str]:
        found = [f"answers gold below the bound: {', '.join(below[name])}"] if name in below else []
        return [*found, "skips far more than the others do"] if name in skipping else found

    return {
        "project": {} if counts is None else asdict(counts),
        "agreement": _agreement(checks),
        "annotators": [_annotator(one, gold, remarks(one.name)) for one in measured(survey.judgements, main)],
        "traps": _traps(gold),
        "checks": [_check(check) for check in checks] + _skips(skipping),
        "arm": None if arm is None else _arm(arm),
    }


def _agreement(checks: Sequence[Check]) -> dict[str, Any]:
    found: dict[str, Any] = {"alpha": None}
    for check in checks:
        for finding in check.findings:
            name = "alpha" if finding.metric.startswith("krippendorff_alpha") else finding.metric
            if name in ("alpha", "pairwise_agreement") and found.get(name) is None:
                limits = {"estimate": finding.estimate, "low": finding.ci_low, "high": finding.ci_high}
                found[name] = limits | {"n": finding.n}
    return found


def _annotator(one: Annotator, gold: Traps, more: Sequence[str]) -> dict[str, Any]:
    verdict = Verdict.CONCERN if more else one.verdict
    return {
        "name": one.name,
        "judgements": one.judgements,
        "verdict": verdict.value,
        "reasons": [*one.reasons, *more],
        "reliability": limits_json(one.reliability),
        "with_others": limits_json(one.with_others),
        "side": limits_json(one.side),
        "agreement": limits_json(one.agreement),
        "length": limits_json(one.length),
        "speed": {"seconds_median": one.seconds_median, "words_per_minute": one.words_per_minute},
        "traps": limits_json(gold.annotators.get(one.name, NOTHING)),
        "traps_by_kind": {k: limits_json(v) for k, v in gold.by_kind.get(one.name, {}).items()},
        "flips": limits_json(one.flips),
    }


def _traps(gold: Traps) -> dict[str, Any]:
    return {
        "overall": limits_json(gold.overall),
        "kinds": [
            {
                "trap": kind.trap,
                "title": TITLES[kind.trap],
                "accuracy": limits_json(kind.accuracy),
                "less_plain": limits_json(kind.less_plain),
            }
            for kind in gold.kinds
        ],
    }


def _check(check: Check) -> dict[str, Any]:
    return {
        "name": check.name,
        "title": check.title,
        "verdict": check.verdict.value,
        "meaning": check.meaning,
        "advice": check.advice,
    }


def _skips(names: Sequence[str]) -> list[dict[str, Any]]:
    if not names:
        return []
    meaning = f"{', '.join(names)} {'skips' if len(names) == 1 else 'skip'} far more often than the others do."
    advice = "Read the reasons that were given. Skips are paid: ask before concluding anything."
    return [{"name": "skips", "title": "Skips", "verdict": "concern", "meaning": meaning, "advice": advice}]


def _arm(arm: ArmEffect) -> dict[str, Any]:
    who = "" if arm.general else " The interval is about these annotators alone: there are fewer than five."
    return {
        "difference": limits_json(arm.difference),
        "log_odds": limits_json(arm.log_odds),
        "shown": limits_json(arm.shown),
        "hidden": limits_json(arm.hidden),
        "annotators": arm.annotators,
        "items": arm.items,
        "left_out": "; ".join(f"{count:,} x {why}" for why, count in arm.left_out.items()) or "none",
        "meaning": (
            f"Stating the belief moves the chance that the agreeing reply is preferred by {said_of(arm.difference)}."
            f"{who}"
        ),
    }


class Remembering:
    """Keeps the latest documents by what they were made from; safe to be used by several threads."""

    def __init__(self, most: int = 32) -> None:
        self._kept: OrderedDict[Hashable, Mapping[str, Any]] = OrderedDict()
        self._most, self._lock = most, Lock()

    def known(self, key: Hashable) -> Mapping[str, Any] | None:
        """The document of ``key``, or None where it has to be made."""
        return self._kept.get(key)

    def get(self, key: Hashable, make: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """The document of ``key``, made where it is not known. One is made at a time, so that none is made twice."""
        with self._lock:
            if key not in self._kept:
                self._kept[key] = make()
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
            return self._kept[key]
