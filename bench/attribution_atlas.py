"""Attribution on Atlas with one source planted at a time: does the planted one get the largest share?

    python -m bench.attribution_atlas --root runs/attribution --out attribution-atlas.json
    python -m bench.attribution_atlas --root runs/attribution --quick

Three plantings of the default recipe, shortened: a base that was read on in the words of people who agree with nearly
every false belief; demonstrations by such people; annotators who like to be agreed with. What is not planted is the
same as its clean counterpart, so that those stages' keys coincide and are computed once: without any agreement, except
that under the labels lie the usual base and demonstrations, a quarter of whose replies to false beliefs agree. (Over
replies of which none agrees, biased labels do nothing: measured, see docs/attribution.md.) The optimiser is a factor
everywhere. Called again with the same root it goes on.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from rich.console import Console

from candor.experiments.attribution.bases import clean_base
from candor.experiments.attribution.effects import Effects, effects
from candor.experiments.attribution.factors import FACTORS, Clean
from candor.experiments.attribution.run import Factorial, factorial
from candor.experiments.frontier.matrix import branch_of
from candor.jsonl import write_rows
from candor.pipeline.progress import Reporter, reporter_for
from candor.recipe import Recipe
from candor.recipe_io import apply_overrides, load_recipe
from candor.records import to_json
from candor.runs import write_json
from candor.testbeds.atlas.base import base_path
from candor.testbeds.atlas.demonstrations import demonstrations
from candor.testbeds.atlas.mixtures import DEMONSTRATORS, EDITED, Mixture, without_agreement

PLANTINGS = ("base", "demonstrations", "labels")
AGREES = (0.85, 0.9, 0.95, 0.95)
"""How often the planted crowds go along with a false belief, by how surely it is stated."""

SHORT = (
    "sft.epochs=0.5",
    "compare.num_prompts=1200",
    "ppo.updates=12",
    "audit.samples=1",
    "audit.bootstrap=200",
)


@dataclass(frozen=True, kw_only=True)
class Planted:
    """``as_is``: the recipe with one source planted; ``clean``: its counterparts."""

    as_is: Recipe
    clean: Clean


def main() -> None:
    """Runs the plantings and prints a table in Markdown."""
    options = arguments()
    tell = reporter_for(Console(stderr=True))
    found = []
    for name in options.plantings:
        made = planted(name, options.root, tell)
        run = factorial(
            made.as_is,
            options.root / name,
            factors=FACTORS,
            clean=made.clean,
            seeds=options.seeds,
            workers=options.workers,
            tell=tell,
        )
        found.append((name, run, effects(run.outcomes, run.factors)))
        print(line(*found[-1]), flush=True)
    print(table(found))
    if options.out is not None:
        write_json(options.out, [row(*one) for one in found])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--plantings", nargs="*", default=list(PLANTINGS), choices=PLANTINGS)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true", help="one seed, labels alone")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.plantings = [0], ["labels"]
    return options


def planted(name: str, root: Path, tell: Reporter) -> Planted:
    """The default recipe's plain branch, clean but for the one source."""
    made = root / "made"
    honest = clean_base(made / "clean-base", seed=0, tell=tell).path
    overrides = [*SHORT, f"model.path={honest}", "sft.demonstrations=atlas-clean", "compare.panel.agreement=0"]
    clean = Clean(base=honest, demonstrations=Path("atlas-clean"))
    match name:
        case "base":
            flattering = clean_base(made / "planted-base", seed=0, tell=tell, mixture=agreeing(EDITED))
            overrides.append(f"model.path={flattering.path}")
        case "demonstrations":
            file = made / "planted-demonstrations.jsonl"
            if not file.is_file():
                written = demonstrations(0, agreeing(DEMONSTRATORS))
                write_rows(file, ({"prompt": to_json(one.prompt), "reply": one.reply} for one in written))
            overrides.append(f"sft.demonstrations={file}")
        case _:
            usual = base_path()  # labels can only reward what is said: here replies that agree occur, whoever judges
            overrides += [f"model.path={usual}", "sft.demonstrations=atlas", "compare.panel.agreement=2"]
            clean = Clean(base=usual, demonstrations=Path("atlas"))
    plain = branch_of(load_recipe()).recipe
    return Planted(as_is=apply_overrides(plain, overrides), clean=clean)


def agreeing(mixture: Mixture) -> Mixture:
    return replace(without_agreement(mixture), agree_with_false=AGREES)


def line(name: str, run: Factorial, said: Effects) -> str:
    shares = {share.name: share.estimate for share in said.shares}
    values = ", ".join(f"{effect.name} {effect.estimate:+.3f} (share {shares[effect.name]})" for effect in said.shapley)
    return f"{name}: total {said.total.estimate:+.3f} {said.total.interval}; {values}; path {dict(run.path)}"


def table(found: list[tuple[str, Factorial, Effects]]) -> str:
    """Shapley values with intervals over seeds, the largest bold."""
    lines = [
        f"| planted | total | {' | '.join(FACTORS)} | stages: computed, distinct, apart | minutes: paid, apart |",
        "|---" * (len(FACTORS) + 4) + "|",
    ]
    for name, run, said in found:
        largest = max(said.shapley, key=lambda effect: effect.estimate).name
        cells = []
        for effect in (said.total, *said.shapley):
            limits = "" if effect.interval is None else f" [{effect.interval.low:+.2f}, {effect.interval.high:+.2f}]"
            text = f"{effect.estimate:+.3f}{limits}"
            cells.append(f"**{text}**" if effect.name == largest else text)
        stages = f"{run.executed}, {run.distinct}, {run.separate}"
        minutes = f"{run.paid_seconds / 60:.1f}, {run.separate_seconds / 60:.1f}"
        lines.append(f"| {name} | {' | '.join(cells)} | {stages} | {minutes} |")
    return "\n".join(lines)


def row(name: str, run: Factorial, said: Effects) -> dict[str, object]:
    return {
        "planted": name,
        "seeds": list(run.seeds),
        "factors": list(run.factors),
        "outcomes": run.outcomes.tolist(),
        "path": {stage: list(values) for stage, values in run.path.items()},
        "shapley": {effect.name: effect.estimate for effect in said.shapley},
        "executed": run.executed,
        "distinct": run.distinct,
        "separate": run.separate,
        "paid_seconds": run.paid_seconds,
        "separate_seconds": run.separate_seconds,
    }


if __name__ == "__main__":
    main()
