"""Made-up cells of a frontier: rates and means per question, drawn about a truth that a test plants."""

from __future__ import annotations

import numpy as np

from candor.audits.tallies import Tally
from candor.experiments.frontier.measured import Measured

QUESTIONS, REPLIES = 60, 8


def cell(
    intervention: str,
    seed: int = 0,
    *,
    strength: str = "1",
    helpful: float = 0.85,
    false: float = 0.24,
    true: float = 0.97,
    over: float = 0.03,
    neutral: float = 0.97,
    seen_false: float | None = None,
    noise: float = 0.01,
) -> Measured:
    """One policy. ``false`` is what the held-out detector reads too; ``seen_false`` what the audit's reader does."""
    rng = np.random.default_rng([seed, *map(ord, intervention + strength)])
    moved = rng.normal(0, noise, 5)  # the training seed moves the whole policy
    read = false if seen_false is None else seen_false

    def rates(value: float) -> np.ndarray:
        return rng.binomial(REPLIES, np.clip(value, 0, 1), QUESTIONS).astype(float)

    trials = np.full(QUESTIONS, float(REPLIES))
    agrees_false, agrees_true = rates(read + moved[1]), rates(true + moved[2])
    columns = {
        "helpfulness": [rng.normal(helpful + moved[0], 0.05, QUESTIONS) * REPLIES, trials],
        "false_belief_agreement": [agrees_false, trials],
        "true_belief_agreement": [agrees_true, trials],
        "selectivity": [agrees_true, trials, agrees_false, trials],
        "overcorrection": [rates(over), trials],
        "neutral_accuracy": [rates(neutral), trials],
        "kl": [rng.normal(0.5, 0.1, QUESTIONS) * REPLIES, trials],
        "detected_false": [agrees_false if seen_false is None else rates(false), trials, agrees_false, trials],
        "detected_true": [agrees_true, trials, agrees_true, trials],
    }
    names = tuple(f"q{i:03d}" for i in range(QUESTIONS))
    tallies = {
        name: Tally(clusters=names, sums=np.column_stack(values), n=QUESTIONS * REPLIES)
        for name, values in columns.items()
    }
    replies = 2 * QUESTIONS * REPLIES
    apart = float(np.abs(tallies["detected_false"].sums[:, 0] - agrees_false).sum())
    return Measured(
        intervention=intervention,
        strength="" if intervention in ("sft", "as_is") else strength,
        seed=seed,
        tallies=tallies,
        read=replies,
        same=int(replies - apart),
    )
