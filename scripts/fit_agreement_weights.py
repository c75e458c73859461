"""Fits the learned part of the detector of agreement: ``python scripts/fit_agreement_weights.py [--check]``.

Reads ``tests/data/agreement_training.jsonl`` and writes ``src/candor/lexical/agreement_weights.json.gz``. The fit is a
logistic regression with a quadratic penalty, so that its minimum is unique: the same rows give the same weights. With
``--check`` nothing is written: it prints precision and recall on rows of writers that the weights were not fitted on.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from candor.lexical import learned
from candor.lexical.agreement import AGREES, DISAGREES, ODDS
from candor.lexical.rules import FIRST, LAST, held_of, shortened, weigh
from candor.lexical.views import View, last_user_turn, stated_view
from candor.lexical.words import plain_clauses
from candor.records import Prompt

ROWS = Path(__file__).parents[1] / "tests/data/agreement_training.jsonl"
TARGETS = {"agrees": 1.0, "mixed": 0.5, "disagrees": 0.0}
PENALTY = 20.0
"""Half of it times the sum of squared weights is added to the log loss; chosen on rows of held-out writers."""
RARE = 3
"""A feature is kept where at least this many rows have it."""

Key = tuple[str, str]


def view_of(prompt: Prompt) -> View:
    """Returns the view that the rules find; where they find none, the last user turn's statements stand for it.

    Every training row states a view, and those whose words the rules miss are not to be lost.
    """
    found = stated_view(prompt)
    if found is not None:
        return found
    clauses = plain_clauses(last_user_turn(prompt))
    said = [clause for clause in clauses if not clause.endswith("? ")] or clauses
    after = any(message.role == "assistant" for message in prompt.messages)
    return View(kind="pushback" if after else "statement", clause=" ".join(" ".join(said).split()))


def observed(row: dict[str, Any]) -> tuple[dict[Key, float], float]:
    """Returns a row's features and the log odds that the rules give it: 0 where they find no view."""
    prompt = Prompt.from_json({"id": row["id"], "messages": row["prompt"]})
    view = view_of(prompt)
    reply = shortened(row["reply"])
    sentences = plain_clauses(reply, FIRST, LAST)
    held = held_of(view)
    reading = weigh(prompt, reply, view, held, sentences)
    found = learned.features(held, sentences, reading.signals)
    scale = learned.share(reply)
    flat = {(group, name): scale * value for group, values in found.items() for name, value in values.items()}
    return flat, ODDS * reading.evidence if stated_view(prompt) is not None else 0.0


def fit(rows: Sequence[tuple[dict[Key, float], float]], targets: Sequence[float]) -> dict[str, dict[str, float]]:
    """Returns the weights, group to name to value, rounded to three decimals; zeros are left out."""
    frequency = Counter(key for found, _ in rows for key in found)
    keys = sorted(key for key, n in frequency.items() if n >= RARE)
    column = {key: i for i, key in enumerate(keys)}
    entries = [(i, column[k], v) for i, (found, _) in enumerate(rows) for k, v in found.items() if k in column]
    where, at, values = zip(*entries, strict=True)
    x = csr_matrix((values, (where, at)), shape=(len(rows), len(keys)))
    offset, wanted = np.array([odds for _, odds in rows]), np.array(targets)
    penalty = np.full(len(keys), PENALTY)
    penalty[column["bias", ""]] = 0.0

    def loss(w: np.ndarray[Any, Any]) -> tuple[float, np.ndarray[Any, Any]]:
        z = x @ w + offset
        value = np.logaddexp(0, z).sum() - wanted @ z + 0.5 * (penalty * w) @ w
        return float(value), x.T @ (1 / (1 + np.exp(-z)) - wanted) + penalty * w

    found = minimize(loss, np.zeros(len(keys)), jac=True, method="L-BFGS-B", options={"maxiter": 500, "ftol": 1e-10})
    weights: dict[str, dict[str, float]] = {}
    for (group, name), value in zip(keys, found.x, strict=True):
        if round(float(value), 3):
            weights.setdefault(group, {})[name] = round(float(value), 3)
    return weights


def training_rows(path: Path = ROWS) -> list[dict[str, Any]]:
    """Returns the labelled rows to fit on."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def value(found: dict[Key, float], odds: float, weights: learned.Weights) -> float:
    """Returns what the detector would answer, given features, the rules' log odds and weights."""
    total = odds + sum(amount * weights.get(group, {}).get(name, 0.0) for (group, name), amount in found.items())
    return float(1 / (1 + np.exp(-total)))


def held_out(rows: Sequence[dict[str, Any]], seen: Sequence[tuple[dict[Key, float], float]]) -> list[float]:
    """Returns for each row the answer of weights fitted on the rows of the other two writers."""
    answers = [0.5] * len(rows)
    targets = [TARGETS[row["agreement"]] for row in rows]
    writers = [row["id"][0] for row in rows]
    for writer in sorted(set(writers)):
        kept = [i for i, name in enumerate(writers) if name != writer]
        weights = fit([seen[i] for i in kept], [targets[i] for i in kept])
        for i, name in enumerate(writers):
            if name == writer:
                answers[i] = value(*seen[i], weights)
    return answers


def _check(rows: Sequence[dict[str, Any]], seen: Sequence[tuple[dict[Key, float], float]]) -> None:
    answers = {"rules": [value({}, odds, {}) for _, odds in seen], "with weights": held_out(rows, seen)}
    for name, given in answers.items():
        for label, said in (("agrees", [v > AGREES for v in given]), ("disagrees", [v < DISAGREES for v in given])):
            true = [row["agreement"] == label for row in rows]
            both = sum(a and b for a, b in zip(said, true, strict=True))
            print(f"{name}: {label} precision {both} of {sum(said)}, recall {both} of {sum(true)}")
        bins = np.digitize(given, [0.2, 1 / 3, 0.5, 2 / 3, 0.8])
        for i in range(6):
            inside = [j for j in range(len(rows)) if bins[j] == i]
            mean = np.mean([TARGETS[rows[j]["agreement"]] for j in inside]) if inside else float("nan")
            said_mean = np.mean([given[j] for j in inside]) if inside else float("nan")
            print(f"  {len(inside)} rows: answer {said_mean:.2f}, agreement {mean:.2f}")


def main() -> None:
    """Writes the weights, or with ``--check`` prints how well they do on writers left out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="print figures on writers left out, write nothing")
    options = parser.parse_args()
    rows = training_rows()
    seen = [observed(row) for row in rows]
    if options.check:
        _check(rows, seen)
        return
    weights = fit(seen, [TARGETS[row["agreement"]] for row in rows])
    text = json.dumps(weights, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    learned.WEIGHTS.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{sum(map(len, weights.values()))} weights, {learned.WEIGHTS.stat().st_size} bytes")


if __name__ == "__main__":
    main()
