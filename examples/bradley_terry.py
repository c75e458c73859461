"""People who judge pairs of three responses, for docs/bradley-terry.md: ask them, fit one score per response, audit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from candor.audits.preferences import menu, transitivity
from candor.audits.preferences.survey import Numbered, survey
from candor.preferences.fit import bradley_terry
from candor.records import Check, Choice, Comparison, Completion, Message, Prompt

NAMES = ("A", "B", "C")
PAIRS = ((0, 1), (1, 2), (2, 0))

Chance = Callable[[int, int, int, float], float]
"""Chance that the response shown first is preferred: first, second, person, when (0 to 1)."""


def sigmoid(x: float) -> float:
    """The logistic function."""
    return float(1 / (1 + np.exp(-x)))


def ask(
    chance: Chance,
    *,
    prompts: int = 40,
    votes: int = 15,
    pairs: Sequence[tuple[int, int]] = PAIRS,
    shuffle: bool = True,
    seed: int = 0,
) -> list[Comparison]:
    """Every pair of the three responses to every prompt, judged by ``votes`` people drawn anew, in random order."""
    rng, comparisons = np.random.default_rng(seed), []
    for prompt in range(prompts):
        for pair in pairs:
            for _ in range(votes):
                person, when = int(rng.integers(1000)), float(rng.random())
                first, second = pair if not shuffle or rng.random() < 0.5 else pair[::-1]
                wins = rng.random() < chance(first, second, person, when)
                comparisons.append(_comparison(len(comparisons), prompt, first, second, wins, person, when))
    return comparisons


def _comparison(number: int, prompt: int, first: int, second: int, wins: bool, person: int, when: float) -> Comparison:
    asked = Prompt(id=f"p{prompt}", messages=(Message(role="user", content=f"Question {prompt}"),))
    responses = tuple(Completion(id=NAMES[i], prompt_id=asked.id, text=NAMES[i]) for i in (first, second))
    return Comparison(
        id=str(number),
        prompt=asked,
        responses=responses,
        judgement=Choice(best=0 if wins else 1),
        shown_order=(0, 1),
        annotator=f"{person}-{number}",
        at=f"{when:.6f}",
    )


def choose(shares: Sequence[float], *, prompts: int = 40, votes: int = 15, seed: int = 0) -> list[Comparison]:
    """People who see A, B and C together and choose one, each with its share."""
    rng, comparisons = np.random.default_rng(seed), []
    for prompt in range(prompts):
        asked = Prompt(id=f"p{prompt}", messages=(Message(role="user", content=f"Question {prompt}"),))
        responses = tuple(Completion(id=name, prompt_id=asked.id, text=name) for name in NAMES)
        for _ in range(votes):
            best, identity = int(rng.choice(len(NAMES), p=shares)), f"menu-{len(comparisons)}"
            comparisons.append(
                Comparison(
                    id=identity,
                    prompt=asked,
                    responses=responses,
                    judgement=Choice(best=best),
                    shown_order=(),
                    annotator=identity,
                )
            )
    return comparisons


def winners_and_losers(comparisons: Sequence[Comparison]) -> tuple[list[int], list[int]]:
    """Which of the three was preferred to which, over all prompts."""
    ends = []
    for comparison in comparisons:
        assert isinstance(comparison.judgement, Choice)
        assert comparison.judgement.best is not None
        best = comparison.judgement.best
        ends.append([NAMES.index(comparison.responses[i].text) for i in (best, 1 - best)])
    return [winner for winner, _ in ends], [loser for _, loser in ends]


def scores(comparisons: Sequence[Comparison]) -> NDArray[np.float64]:
    """Bradley-Terry scores of A, B and C from the votes on all prompts, mean 0."""
    return np.asarray(bradley_terry(*winners_and_losers(comparisons), len(NAMES)).scores)


def said(comparisons: Sequence[Comparison], one: str, other: str) -> float:
    """Share of the votes between two responses that went to ``one``."""
    pairs = zip(*winners_and_losers(comparisons), strict=True)
    won = [winner for winner, loser in pairs if {NAMES[winner], NAMES[loser]} == {one, other}]
    return float(np.mean([NAMES[winner] == one for winner in won]))


def policy(reward: NDArray[np.float64], beta: float = 0.25) -> str:
    """What the best policy under that reward answers: pi(y) ~ exp(r(y) / beta), from a uniform reference."""
    weights = np.exp((reward - reward.max()) / beta)
    return "  ".join(f"{name} {share:.0%}" for name, share in zip(NAMES, weights / weights.sum(), strict=True))


def show(reward: NDArray[np.float64]) -> str:
    """The scores of A, B and C."""
    return "  ".join(f"{name} {score:+.1f}" for name, score in zip(NAMES, reward + 0.0, strict=True))


def audit(comparisons: Sequence[Comparison]) -> None:
    """Prints the verdicts of the audit on circles, on Bradley-Terry's fit and on the menu."""
    seen = survey(Numbered(row=row, comparison=comparison) for row, comparison in enumerate(comparisons, start=1))
    for check in (*transitivity.checks(seen), *menu.checks(seen)):
        print(f"{check.name}: {check.verdict.value}{_figure(check)}")


def _figure(check: Check) -> str:
    for finding in check.findings:
        if finding.metric == "cyclic_majorities" and check.verdict.value == "concern":
            return f", circles in {finding.estimate:.0%} of prompts"
    return ""
