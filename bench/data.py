"""The data of both sides: Atlas's own prompts and demonstrations, and replies of its base, ranked by the panel.

Made once per run of the benchmark and written to its working directory, so that every process reads the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from candor.annotators.panel import Panel
from candor.generation import InProcessSampler
from candor.models.load import Policy
from candor.ops.randomness import shuffled
from candor.preferences.pairing import to_pairs
from candor.recipe import PanelConfig
from candor.records import Comparison, Completion, Prompt, to_json
from candor.testbeds.atlas.parser import read_reply
from candor.testbeds.atlas.prompts import train_prompts

SEED = 0
MAX_NEW_TOKENS = 48
MAX_LENGTH = 512
PAIRS, RANKINGS = 480, 96


def train_questions() -> list[Prompt]:
    """Atlas's train prompts, in random order."""
    prompts = train_prompts(SEED)
    return [prompts[i] for i in shuffled(len(prompts), SEED, "bench")]


def make_comparisons(base: Policy, prompts: Sequence[Prompt], responses: int, wanted: int) -> list[Comparison]:
    """Rankings of ``responses`` replies that all differ, so that each gives all of its pairs."""
    sampler = InProcessSampler(base.model, base.tokenizer, temperature=1.0, max_new_tokens=MAX_NEW_TOKENS)
    panel = Panel(PanelConfig(), read_reply, "ranking", SEED)
    tries, found = 2 * responses, []
    for start in range(0, len(prompts), 64):
        asked = prompts[start : start + 64]
        replies = sampler.sample(asked, n=tries, seed=start)
        for i, prompt in enumerate(asked):
            different = list({reply.text: reply for reply in replies[i * tries : (i + 1) * tries]}.values())
            if len(different) >= responses:
                found.append(panel.judge(prompt, different[:responses], comparison_id=prompt.id, seed=SEED))
        if len(found) >= wanted:
            return found[:wanted]
    raise RuntimeError(f"only {len(found)} of {wanted} prompts have {responses} different replies")


def write_comparisons(path: Path, comparisons: Sequence[Comparison]) -> None:
    """One JSON record per line."""
    path.write_text("".join(json.dumps(to_json(comparison)) + "\n" for comparison in comparisons))


def read_comparisons(path: Path) -> list[Comparison]:
    """What :func:`write_comparisons` wrote."""
    return [Comparison.from_json(json.loads(line)) for line in path.read_text().splitlines()]


def exploded(comparison: Comparison) -> list[tuple[Completion, Completion]]:
    """(chosen, rejected) for every pair of a comparison."""
    return [(pair.chosen, pair.rejected) for pair in to_pairs(comparison)]
