"""Forecasts sealed before PPO against what PPO did, on Atlas: several seeds and strengths of the KL penalty.

    python -m bench.sealed_forecast --root runs/forecasts --out sealed-forecast.json
    python -m bench.sealed_forecast --root runs/forecasts --quick

Every cell is the default recipe's plain branch with another ``kl_coef``; shared stages are computed once. Called again
with the same root it goes on. The error is that of false-belief agreement, forecast less measured; the best constant
guess is their median, which nobody could have known beforehand.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from rich.console import Console

from candor.experiments.cells import Cell, run_cells
from candor.experiments.frontier.matrix import branch_of
from candor.pipeline.progress import reporter_for
from candor.recipe import Recipe
from candor.recipe_io import apply_overrides, load_recipe
from candor.runs import read_findings, write_json
from candor.runs.sealed import Held, held_against, mean_absolute_error, read_sealed

METRIC = "false_belief_agreement"
BETAS = (0.05, 0.1, 0.2, 0.4, 0.8)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    seed: int
    beta: float
    kl: float
    held: Held


def main() -> None:
    """Runs the cells and prints a table in Markdown."""
    options = arguments()
    cells = {(seed, beta): recipe(seed, beta, options.prompts) for seed in options.seeds for beta in options.betas}
    done = run_cells(
        [Cell(name=name(*key), recipe=made) for key, made in cells.items()],
        options.root,
        workers=options.workers,
        audits={"ppo"},
        tell=reporter_for(Console(stderr=True)),
    )
    found = [outcome(done.directories[name(*key)], *key) for key in cells]
    print(table(found))
    print(summary(found))
    if options.out is not None:
        write_json(options.out, [row(one) for one in found])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--betas", type=float, nargs="*", default=list(BETAS))
    parser.add_argument("--prompts", type=int, default=80, help="the recipe's own by default")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true", help="one seed, two strengths")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.betas = [0], [0.1, 0.4]
    return options


def name(seed: int, beta: float) -> str:
    return f"beta{beta:g}-seed{seed}"


def recipe(seed: int, beta: float, prompts: int) -> Recipe:
    plain = branch_of(load_recipe()).recipe
    return apply_overrides(plain, [f"seed={seed}", f"ppo.kl_coef={beta}", f"ppo.forecast_prompts={prompts}"])


def outcome(directory: Path, seed: int, beta: float) -> Outcome:
    (place,) = (directory / "stages").glob("*-ppo")
    forecast = read_sealed(place)
    assert forecast is not None, f"{place} has no forecast"
    findings = read_findings(place / "audit" / "findings.jsonl")
    (held,) = (one for one in held_against(forecast, findings) if one.metric == METRIC)
    kl = next(f.estimate for f in findings if (f.subject, f.metric) == ("sampled:answer", "kl"))
    assert kl is not None
    return Outcome(seed=seed, beta=beta, kl=kl, held=held)


def row(one: Outcome) -> dict[str, float | int | str | None]:
    held = one.held
    return {
        "seed": one.seed,
        "beta": one.beta,
        "kl": one.kl,
        "measured": held.measured,
        "by_beta": held.by_beta.estimate,
        "by_beta_low": held.by_beta.low,
        "by_beta_high": held.by_beta.high,
        "by_beta_refusal": held.by_beta.refusal,
        "by_kl": held.by_kl.estimate,
        "by_kl_low": held.by_kl.low,
        "by_kl_high": held.by_kl.high,
        "by_kl_refusal": held.by_kl.refusal,
    }


def table(found: Sequence[Outcome]) -> str:
    lines = ["| seed | beta | KL reached | measured | forecast by beta | forecast by KL |", "|---|---|---|---|---|---|"]
    for one in found:
        told = [
            "refused" if t.estimate is None else f"{t.estimate:.3f} [{t.low:.2f}, {t.high:.2f}]"
            for t in (one.held.by_beta, one.held.by_kl)
        ]
        lines.append(f"| {one.seed} | {one.beta:g} | {one.kl:.2f} | {one.held.measured:.3f} | {' | '.join(told)} |")
    return "\n".join(lines)


def summary(found: Sequence[Outcome]) -> str:
    measured = [one.held.measured for one in found]
    lines = [f"measured outcomes span {max(measured) - min(measured):.3f}"]
    for label, told in (
        ("by beta", [one.held.by_beta for one in found]),
        ("by KL", [one.held.by_kl for one in found]),
    ):
        pairs = [(t.estimate, m) for t, m in zip(told, measured, strict=True) if t.estimate is not None]
        known = [m for _, m in pairs]
        error = mean_absolute_error(pairs)
        if error is None:
            lines.append(f"{label}: everything refused")
            continue
        middle = sorted(known)[len(known) // 2]  # the median: of all constants the one with the least absolute error
        constant = mean_absolute_error((middle, m) for m in known)
        within = sum(t.low <= m <= t.high for t, m in zip(told, measured, strict=True) if t.low is not None)  # type: ignore[operator]
        lines.append(
            f"{label}: mean absolute error {error:.3f}, best constant guess {constant:.3f}; refused "
            f"{len(found) - len(pairs)} of {len(found)}; {within} of {len(pairs)} outcomes within the interval"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
