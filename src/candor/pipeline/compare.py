"""The compare stage: sampled replies and a panel's judgements, or comparisons from a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from candor.annotators.panel import Panel
from candor.errors import InputError
from candor.generation import InProcessSampler
from candor.ops.randomness import shuffled, step_seed
from candor.pipeline import sources
from candor.pipeline.context import Context, prompts_that_fit
from candor.pipeline.plan import Planned
from candor.pipeline.progress import working
from candor.preferences.formats import write_comparisons
from candor.preferences.pairing import pair_comparisons
from candor.recipe import CompareStage
from candor.records import Comparison, Completion, Prompt
from candor.runs import Work, write_json

PROMPTS_AT_ONCE = 64


def run_compare(stage: CompareStage, planned: Planned, work: Work, context: Context) -> None:
    """Leaves ``comparisons.jsonl`` (what was seen and said), ``metrics.json`` and, for a panel, ``panel.json``."""
    if stage.file is not None:
        report = sources.comparison_file(stage.file)
        dropped = {reason: len(lines) for reason, lines in report.dropped.items()}
        _write(work.path, [_without_tokens(comparison) for comparison in report.comparisons])
        read = {"file": stage.file, "format": report.format, "rows": report.rows, "rows_dropped": dropped}
        write_json(work.path / "metrics.json", read | _counts(report.comparisons))
        return
    policy = context.policy(planned.inputs["policy"])
    prompts = prompts_that_fit(policy, context.train_prompts(stage.prompts), stage.max_new_tokens, context.tell.note)
    if not prompts:
        raise InputError("no prompt fits the model", where=planned.name)
    seed = context.seed if stage.draw == 0 else step_seed(context.seed, "compare", "draw", stage.draw)
    order = shuffled(len(prompts), seed, "compare", "prompts")
    chosen = [prompts[i] for i in order[: stage.num_prompts]]
    sampler = InProcessSampler(
        policy.model,
        policy.tokenizer,
        temperature=stage.temperature,
        max_new_tokens=stage.max_new_tokens,
        batch_size=context.recipe.model.sampling_rows,
        name=planned.inputs["policy"].name,
    )
    panel = Panel(stage.panel, context.reader, stage.feedback, seed)
    comparisons: list[Comparison] = []
    with working(context.tell, planned.name, len(chosen)):
        for start in range(0, len(chosen), PROMPTS_AT_ONCE):
            asked = chosen[start : start + PROMPTS_AT_ONCE]
            replies = sampler.sample(asked, n=stage.responses, seed=step_seed(seed, "compare", "sample", start))
            comparisons += _judge(panel, asked, replies, stage.responses, seed)
            context.tell.update(len(comparisons))
    _write(work.path, comparisons)
    write_json(work.path / "panel.json", panel.describe())
    write_json(work.path / "metrics.json", {"prompts_available": len(prompts)} | _counts(comparisons))


def _judge(
    panel: Panel, prompts: Sequence[Prompt], replies: Sequence[Completion], n: int, seed: int
) -> list[Comparison]:
    groups = [replies[i * n : (i + 1) * n] for i in range(len(prompts))]
    return [
        panel.judge(prompt, group, comparison_id=prompt.id, seed=seed)
        for prompt, group in zip(prompts, groups, strict=True)
    ]


def _without_tokens(comparison: Comparison) -> Comparison:
    """Token ids in a file may be another tokenizer's: the text is what counts."""
    responses = tuple(replace(response, token_ids=(), logprobs=()) for response in comparison.responses)
    return replace(comparison, responses=responses)


def _write(directory: Path, comparisons: Sequence[Comparison]) -> None:
    write_comparisons(directory / "comparisons.jsonl", comparisons)


def _counts(comparisons: Sequence[Comparison]) -> dict[str, object]:
    """What there is to learn from: pairs, and why some pairs of responses give none."""
    report = pair_comparisons(comparisons)
    seconds = [c.seconds for c in comparisons if c.seconds is not None]
    return {
        "comparisons": len(comparisons),
        "responses": sum(len(c.responses) for c in comparisons),
        "pairs": len(report.pairs),
        "pairs_dropped": dict(report.dropped),
        "annotators": len(Counter(c.annotator for c in comparisons if c.annotator)),
        "annotation_seconds": round(sum(seconds), 1) if seconds else None,
    }
