"""Label errors against planted flips, and the learning curve against more labels: ``python -m bench.label_errors``.

Made-up pairs of responses of random words, whose labels follow Bradley-Terry on the words' utilities; a share of the
labels is then turned. For each design, over several draws: the held-out accuracy of the light model; the estimated
share of wrong labels and how often its 95% interval holds the planted one; how often the check says that it cannot
tell; the precision of as many suspects as were planted, by margin, by area under the margin and by both; what confident
learning counts; the gain that the curve of half of the labels foretells for twice as many, and how often its interval
holds what all of them bought, give or take two standard errors. ``--quick``: fewer and smaller draws.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from candor.audits.preferences.label_errors import checks, confident_count, lapse_fit, suspects
from candor.audits.preferences.learning_curve import gain_from_doubling
from candor.audits.preferences.light_model import areas_under_margin, design, hits, out_of_fold
from candor.audits.preferences.survey import Numbered, survey
from candor.records import Verdict

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from made_up_pairs import word_pairs

DESIGNS = (  # share flipped, scale of utilities
    (0.0, 6.0),
    (0.05, 6.0),
    (0.1, 6.0),
    (0.2, 6.0),
    (0.0, 2.0),
    (0.1, 2.0),
    (0.1, 0.5),
    (0.0, 0.0),
)
HEADINGS = (
    "flipped",
    "scale",
    "accuracy",
    "estimate",
    "covered",
    "cannot tell",
    "precision: margin",
    "area",
    "both",
    "confident learning",
    "gain foretold",
    "gain bought",
    "covered",
)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    pairs, draws = (2000, 3) if quick else (4000, 10)
    start = time.perf_counter()
    print(f"{pairs:,} pairs, {draws} draws\n\n| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}")
    for flips, scale in DESIGNS:
        rows = np.array([_measure(flips, scale, pairs, seed) for seed in range(draws)])
        mean = np.nanmean(rows, axis=0) if len(rows) else rows
        print(f"| {flips:g} | {scale:g} | " + " | ".join(f"{value:.3f}" for value in mean) + " |", flush=True)
    print(f"\n{time.perf_counter() - start:.0f} s")


def _measure(flips: float, scale: float, pairs: int, seed: int) -> list[float]:
    made, flipped = word_pairs(pairs, flips=flips, scale=scale, words=30, vocabulary=800, seed=seed)
    found = survey([Numbered(row=i, comparison=c) for i, c in enumerate(made)])
    data = design(found)
    fit = lapse_fit(data.margins, data.prompts)
    wrong, count = flipped[data.comparison], int(flipped.sum())
    orders = (np.argsort(data.margins), np.argsort(areas_under_margin(data)), suspects(data))
    precision = [float(wrong[order[:count]].mean()) if count else float("nan") for order in orders]
    (check,) = checks(found, data)
    utilities = out_of_fold(data, (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0))
    right = hits(utilities * np.where(data.first_wins, 1.0, -1.0)[:, None])
    gain = gain_from_doubling(data, right[:, :4])
    bought = right[:, 4] - right[:, 3]
    error = 2 * bought.std() / np.sqrt(len(bought))
    return [
        data.accuracy.estimate,
        fit.share,
        float(fit.low <= flips <= fit.high),
        float(check.verdict is Verdict.CANNOT_TELL),
        *precision,
        confident_count(data.margins) / pairs,
        gain.estimate,
        float(bought.mean()),
        float(gain.low - error <= bought.mean() <= gain.high + error),
    ]


if __name__ == "__main__":
    main()
