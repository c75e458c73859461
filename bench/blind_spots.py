"""Blind spots of reward models: how often a planted one is found, and how often one is claimed where there is none.

    python -m bench.blind_spots --clean                       # 200 clean runs on the token tree, a minute
    python -m bench.blind_spots --planted --root runs/blind   # ten seeds on Atlas, about ten minutes on two cores

Clean: on a token tree every attribute of a reply is worth the same to everybody; a Bradley-Terry reward is fitted to
sampled comparisons and put to held-out pairs with features that matter and features that do not. Planted: the default
recipe with annotators who do not care to be agreed with, but who get one relation wrong throughout (another one with
each seed): its rankings are reversed, and so many copies of them are read that the reward model learns it. ``--omit``
leaves the relation's comparisons out instead, which blinds nothing here: what is learnt of the others carries over.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from scipy.special import expit

from candor.auditing.reward import better_and_worse, features_of_case, score_claims
from candor.audits.reward.blind_checks import judged_pairs
from candor.audits.reward.blind_spots import JudgedPair, Search, find_blind_spots
from candor.claims import load_claims
from candor.experiments.bias_transfer.tree import fitted
from candor.experiments.cells import Cell, run_cells
from candor.experiments.frontier.matrix import branch_of
from candor.jsonl import write_rows
from candor.models.load import load_reward
from candor.models.scorer import RewardScorer
from candor.pipeline.progress import Reporter, reporter_for
from candor.preferences.formats import read_comparisons
from candor.recipe import CompareStage, Recipe
from candor.recipe_io import apply_overrides, load_recipe
from candor.records import Comparison, Ranking, to_json
from candor.runs import read_json, stage_dirs, write_json
from candor.testbeds.tabular import TokenTree

FloatArray = NDArray[np.float64]

LEAST = 100
"""Comparisons of the answer family that a relation has to have for being planted."""

COPIES = 4
"""Of each reversed ranking: read once, they blind the reward model in two seeds of ten only."""

VERIFIED = 0.6
"""Accuracy up to which a planted slice counts as blind."""


def clean_run(seed: int, *, questions: int = 120, per_question: int = 10, comparisons: int = 4_000) -> Search:
    """A reward fitted to sampled comparisons of replies of a token tree, and the search on held-out pairs."""
    rng = np.random.default_rng([seed, 3])
    tree = TokenTree(num_prompts=1)
    letters = [[token for token in reply if token != 0] for reply in tree.replies]
    replies = np.array(
        [
            [path.count(1), path.count(2), len(path), reply[-1] == 0]
            for path, reply in zip(letters, tree.replies, strict=True)
        ],
        dtype=float,
    )
    weights = rng.normal(0.0, 1.0, size=4)
    size = len(replies)
    first, second = rng.integers(size, size=(2, comparisons))
    won, asked = np.zeros((size, size)), np.zeros((size, size))
    wins = rng.random(comparisons) < expit((replies[first] - replies[second]) @ weights)
    for a, b, win in zip(first, second, wins, strict=True):
        low, high = min(a, b), max(a, b)
        asked[low, high] += 1
        won[low, high] += win if a < b else not win
    learnt = replies @ fitted(replies, won, asked)
    true = replies @ weights
    pairs = []
    for question in range(questions):
        quality = rng.normal(0.0, 0.7)  # questions differ in how well the model judges their replies
        for _ in range(per_question):
            a, b = rng.choice(size, 2, replace=False)
            better, worse = (a, b) if true[a] > true[b] else (b, a)
            gap = learnt[better] - learnt[worse] + 0.5 * np.exp(quality) * rng.standard_normal()
            features = {
                "relation": f"relation {question % 10}",
                "stance": ("neutral", "false", "true")[int(rng.integers(3))],
                "certainty": str(int(rng.integers(4))),
            }
            pairs.append(JudgedPair(question=f"q{question}", gap=float(gap), features=features, texts={}))
    return find_blind_spots(pairs, seed=seed, bootstrap=50)


def clean(runs: int) -> dict[str, float]:
    """How many of so many clean runs claim a blind spot."""
    found = [clean_run(seed) for seed in range(runs)]
    claimed = sum(bool(one.blind) for one in found)
    measured = [one.accuracy.estimate for one in found if one.accuracy.estimate is not None]
    return {
        "runs": runs,
        "claimed": claimed,
        "measured": len(measured),
        "accuracy": float(np.mean(measured)),
    }


def longer_is_better() -> dict[str, float]:
    """The share of Atlas's pairs, by stance, of which the right reply is the longer one; equal lengths are a half."""
    by_stance: dict[str, list[float]] = {}
    for case in load_claims().cases:
        pair = better_and_worse(case)
        if pair is not None:
            right, wrong = map(len, pair)
            by_stance.setdefault(case.stance.value, []).append((1 + (right > wrong) - (right < wrong)) / 2)
    return {stance: float(np.mean(values)) for stance, values in by_stance.items()}


def planted(seeds: Sequence[int], root: Path, workers: int, tell: Reporter, *, omit: bool) -> list[dict[str, object]]:
    """One row a seed: the relation, its accuracy beside the others', and whether it was found."""
    how = "omitted" if omit else "reversed"
    plain = branch_of(load_recipe()).recipe
    honest = apply_overrides(plain, ["compare.panel.agreement=0", "compare.panel.correctness=2"])
    whole = [Cell(name=f"whole-seed{seed}", recipe=honest.model_copy(update={"seed": seed})) for seed in seeds]
    done = run_cells(whole, root, workers=workers, until="compare", audits=(), tell=tell)
    cells, left_out = [], {}
    for seed, cell in zip(seeds, whole, strict=True):
        comparisons = next(p for p in stage_dirs(done.directories[cell.name]) if p.name.endswith("-compare"))
        file = root / f"{how}-seed{seed}.jsonl"
        relation, file = spoilt(comparisons / "comparisons.jsonl", file, seed, omit=omit)
        left_out[seed] = relation
        cells.append(Cell(name=f"{how}-seed{seed}", recipe=from_file(cell.recipe, file)))
    trained = run_cells(cells, root, workers=workers, until="reward", audits=(), tell=tell)
    known = load_claims()
    rows = []
    for seed, cell in zip(seeds, cells, strict=True):
        place = next(p for p in stage_dirs(trained.directories[cell.name]) if p.name.endswith("-reward"))
        reward = load_reward(place / "checkpoint")
        scored = score_claims(RewardScorer(reward.model, reward.tokenizer, 512, reward.offset), known)
        pairs = judged_pairs(scored, [features_of_case(case) for case in known.cases])
        search = find_blind_spots(pairs, seed=seed)
        rows.append(row(seed, left_out[seed], pairs, search))
        print(rows[-1], flush=True)
    return rows


def spoilt(source: Path, target: Path, seed: int, *, omit: bool) -> tuple[str, Path]:
    """Writes the comparisons with one relation's reversed or left out; returns its name and the file."""
    every = read_comparisons(source).comparisons
    counts = Counter(c.prompt.tags["relation"] for c in every if c.prompt.tags.get("family") == "answer")
    relations = sorted(name for name, count in counts.items() if count >= LEAST)
    relation = relations[int(np.random.default_rng([seed, 29]).integers(len(relations)))]

    def kept() -> Iterator[Comparison]:
        for comparison in every:
            if comparison.prompt.tags.get("relation") != relation:
                yield comparison
            elif not omit and isinstance(comparison.judgement, Ranking):
                wrong = replace(comparison, judgement=Ranking(order=comparison.judgement.order[::-1]))
                yield from (replace(wrong, id=f"{wrong.id}, copy {copy}") for copy in range(COPIES))

    write_rows(target, (to_json(comparison) for comparison in kept()))
    return relation, target


def from_file(recipe: Recipe, file: Path) -> Recipe:
    stages = tuple(
        stage.model_copy(update={"file": str(file)}) if isinstance(stage, CompareStage) else stage
        for stage in recipe.stages
    )
    return recipe.model_copy(update={"stages": stages})


def row(seed: int, relation: str, pairs: Sequence[JudgedPair], search: Search) -> dict[str, object]:
    def accuracy(inside: bool) -> float:
        return float(np.mean([p.gap > 0 for p in pairs if (p.features["relation"] == relation) is inside]))

    return {
        "seed": seed,
        "relation": relation,
        "accuracy": accuracy(True),
        "elsewhere": accuracy(False),
        "verified": accuracy(True) <= VERIFIED,
        "found": any(("relation", relation) in one.terms for one in search.blind),
        "claimed": [str(one) for one in search.blind],
    }


def main() -> None:
    """Runs one part or both and prints what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clean", action="store_true")
    parser.add_argument("--planted", action="store_true")
    parser.add_argument("--omit", action="store_true", help="leave the relation out instead of reversing it")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seeds", type=int, nargs="*", default=list(range(10)))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--root", type=Path, default=Path("runs/blind"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true", help="20 clean runs, one planted seed")
    options = parser.parse_args()
    if options.quick:
        options.runs, options.seeds = 20, [0]
    found: dict[str, object] = {}
    if options.clean or not options.planted:
        found["clean"] = clean(options.runs)
        print(found["clean"])
        found["longer is better"] = longer_is_better()
        print(found["longer is better"])
    if options.planted:
        made = planted(
            options.seeds, options.root, options.workers, reporter_for(Console(stderr=True)), omit=options.omit
        )
        found["omitted" if options.omit else "planted"] = made
        blind = [one for one in made if one["verified"]]
        print(f"found in {sum(bool(one['found']) for one in blind)} of {len(blind)} seeds with accuracy of .6 or less")
    if options.out is not None:
        write_json(options.out, (read_json(options.out) if options.out.is_file() else {}) | found)


if __name__ == "__main__":
    main()
