"""Peak memory of one PPO stage: four models trained in full, four copies under LoRA, and one shared backbone.

    python bench/shared_backbone.py [--width 512] [--layers 9] [--json]

The stages before PPO run once. Then each case runs the very same ppo stage (same prompts, same batch, one update of two
optimiser steps) in a process of its own, and the kernel's high-water mark of its resident memory is read as the stage
ends. The model is a random Llama over the embedded base's tokenizer: memory does not ask what the weights are.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

MIB = 1024 * 1024
RETURNED = {"MALLOC_MMAP_THRESHOLD_": "262144", "MALLOC_TRIM_THRESHOLD_": "262144"}
"""Freed memory goes back to the system at once, so that the mark shows what was in use and not what the heap kept."""

CASES = {
    "four models, every weight trains": (),
    "four models, LoRA": ("ppo.lora.r=16",),
    "one shared backbone, LoRA": ("ppo.lora.r=16", "ppo.shared_backbone=true"),
    "one shared backbone, LoRA, gradient checkpointing": (
        "ppo.lora.r=16",
        "ppo.shared_backbone=true",
        "ppo.gradient_checkpointing=true",
    ),
}
RECIPE = """
name = "memory"
[[stages]]
type = "sft"
num_demonstrations = 64
epochs = 1
[stages.lora]
[[stages]]
type = "compare"
num_prompts = 16
responses = 2
max_new_tokens = 12
[[stages]]
type = "reward"
batch_size = 8
[stages.lora]
[[stages]]
type = "ppo"
updates = 1
batch_size = 32
responses = 4
epochs = 2
max_new_tokens = 14
[audit]
num_questions = 2
max_new_tokens = 8
bootstrap = 10
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--layers", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        folder, name, budget = given.child
        print(json.dumps(measure(Path(folder), CASES[name], int(budget))))
        return
    with tempfile.TemporaryDirectory() as folder:
        parameters = prepare(Path(folder), given.width, given.layers)
        found = [
            {"micro_batch_tokens": budget, "case": name} | child(Path(folder), name, budget)
            for budget in (2048, 512)
            for name in CASES
        ]
    if given.json:
        print(json.dumps({"parameters": parameters, "rows": found}, indent=2))
        return
    print(f"{parameters / 1e6:.1f}M parameters, fp32, {os.cpu_count()} cores; MiB")
    print("| tokens per micro-batch | case | peak | before the models | of the models | to four full models |")
    print("|---|---|---|---|---|---|")
    for row in found:
        full = next(r for r in found if r["micro_batch_tokens"] == row["micro_batch_tokens"])
        own, its = row["peak"] - row["before"], full["peak"] - full["before"]
        print(
            f"| {row['micro_batch_tokens']} | {row['case']} | {row['peak']:.0f} | {row['before']:.0f} "
            f"| {own:.0f} | {own / its:.2f} |"
        )


def prepare(folder: Path, width: int, layers: int) -> int:
    """Makes the model and every stage before ppo; returns the number of the model's parameters."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from candor import api

    tokenizer = api.load_policy("atlas").tokenizer
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=width * 11 // 4, num_hidden_layers=layers,
        num_attention_heads=width // 64, num_key_value_heads=width // 64, max_position_embeddings=512,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, bos_token_id=tokenizer.bos_token_id,
    )  # fmt: skip
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    text = RECIPE.replace("[[stages]]", f'[model]\npath = "{folder / "model"}"\n[[stages]]', 1)
    (folder / "recipe.toml").write_text(text)
    before = text.split('[[stages]]\ntype = "ppo"')[0] + "[audit]" + text.split("[audit]")[1]
    (folder / "before.toml").write_text(before)
    api.run(folder / "before.toml", out=folder / "runs" / "run")
    return sum(p.numel() for p in model.parameters())


def child(folder: Path, name: str, budget: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", str(folder), name, str(budget)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **RETURNED})
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(folder: Path, overrides: tuple[str, ...], budget: int) -> dict[str, float]:
    """Runs the ppo stage of the recipe and reads the marks, in MiB."""
    from candor.models.chat import encode_prompt
    from candor.pipeline.context import Context
    from candor.pipeline.plan import make_plan
    from candor.pipeline.ppo import run_ppo
    from candor.pipeline.progress import Silent
    from candor.recipe import PPOStage
    from candor.recipe_io import apply_overrides, load_recipe, resolve
    from candor.runs import RunStore
    from candor.testbeds.atlas.parser import read_reply

    overrides = (*overrides, f"ppo.micro_batch_tokens={budget}")
    recipe = resolve(apply_overrides(load_recipe(folder / "recipe.toml"), overrides))
    plan = make_plan(recipe)
    context = Context(
        recipe=recipe, plan=plan, store=RunStore(folder / "runs" / "run"), tell=Silent(), reader=read_reply
    )
    stage = plan[-1].stage
    assert isinstance(stage, PPOStage)
    policy = context.weights(plan[0], context.dtype)  # what any ppo stage needs: imports, prompts, and the reader
    for prompt in context.train_prompts(stage.prompts):
        encode_prompt(policy.tokenizer, prompt)
    read_reply(prompt, "")
    del policy
    gc.collect()
    before = mark("VmRSS")
    with tempfile.TemporaryDirectory(dir=folder) as elsewhere:
        work = RunStore(Path(elsewhere)).open(Path(elsewhere) / "ppo", plan[-1].key, name="ppo")
        run_ppo(stage, plan[-1], work, context)
    return {"before": before, "peak": mark("VmHWM")}


def mark(name: str) -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024 / MIB


if __name__ == "__main__":
    main()
