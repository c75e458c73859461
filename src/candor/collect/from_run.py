"""Items straight from a run: its policies write the replies, people judge them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from candor.collect.importing import FileItems, content_key
from candor.errors import InputError
from candor.projects.items import RESPONSES, NewItem
from candor.projects.setup import Project
from candor.records import Completion, Prompt
from candor.results.run import Run

DRAWS = 4
"""Replies drawn for each that is wanted: those that say the same are one."""

PROMPTS_AT_ONCE = 32


def read_run(
    run: Run,
    project: Project,
    *,
    stages: Sequence[str],
    prompts: Sequence[Prompt],
    count: int,
    seed: int = 0,
    max_new_tokens: int = 48,
    temperature: float = 1.0,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> FileItems:
    """Returns items for ``count`` of the prompts, each with different replies of the stages' policies in turn.

    Prompts that do not fit the model, or to which the policies have too few different replies, are left out and
    counted. Raises InputError for a stage without a policy and where no item is left.
    """
    from candor.chat.talk import load_speakers
    from candor.generation import InProcessSampler
    from candor.models.chat import encode_prompt
    from candor.models.window import window
    from candor.ops.randomness import shuffled, step_seed

    wanted = RESPONSES[project.task][0]
    speakers = load_speakers(run, stages)
    dropped: Counter[str] = Counter()
    fitting: list[Prompt] = []
    for index in shuffled(len(prompts), seed, "collect", "prompts"):
        prompt = prompts[index]
        lengths = [len(encode_prompt(s.policy.tokenizer, prompt)) + max_new_tokens for s in speakers]
        places = [window(s.policy.model) for s in speakers]
        if all(place is None or length <= place for length, place in zip(lengths, places, strict=True)):
            fitting.append(prompt)
        else:
            dropped["the prompt does not fit the model"] += 1
        if len(fitting) == count:
            break
    items: list[NewItem] = []
    for start in range(0, len(fitting), PROMPTS_AT_ONCE):
        asked = fitting[start : start + PROMPTS_AT_ONCE]
        drawn = []
        for speaker in speakers:
            sampler = InProcessSampler(
                speaker.policy.model,
                speaker.policy.tokenizer,
                temperature=temperature,
                max_new_tokens=max_new_tokens,
                name=speaker.stage,
            )
            draws = DRAWS * wanted
            found = sampler.sample(asked, n=draws, seed=step_seed(seed, "collect", speaker.stage, start))
            drawn.append([found[i * draws : (i + 1) * draws] for i in range(len(asked))])
        for number, prompt in enumerate(asked):
            replies = _different([group[number] for group in drawn], wanted)
            if len(replies) < wanted:
                dropped["too few different replies"] += 1
                continue
            key = content_key(prompt, replies)
            items.append(NewItem(key=key, prompt=prompt, responses=replies, where=prompt.id))
        tell(start + len(asked), len(fitting))
    if not items:
        reasons = ", ".join(f"{n} x {reason}" for reason, n in dropped.items()) or "no prompts"
        fix = "raise --temperature, or name more stages"
        raise InputError(f"no item came of it ({reasons})", where=str(run.path), fix=fix)
    return FileItems(items=tuple(items), rows=len(fitting), dropped=dict(dropped))


def prompts_of(run: Run, source: str | None) -> list[Prompt]:
    """Returns prompts from a file, or those that the run's own training asks (never those of its audit)."""
    from candor.datafiles import read_prompts
    from candor.recipe import ATLAS

    if source is None:
        asked = (stage.get("prompts") for stage in run.recipe["stages"] if stage["type"] == "compare")
        source = next((found for found in asked if found), ATLAS)
    if source != ATLAS:
        return list(read_prompts(Path(source)).prompts)
    from candor.testbeds.atlas.prompts import train_prompts

    return list(train_prompts(int(run.recipe["seed"])))


def _different(groups: Sequence[Sequence[Completion]], wanted: int) -> tuple[Completion, ...]:
    """So many replies that differ, the groups in turn; fewer where a group has no other that can be shown and kept."""
    found: dict[str, Completion] = {}
    for place in range(wanted):
        others = (r for r in groups[place % len(groups)] if r.text.strip() not in found)
        reply = next((r for r in others if r.text.strip() and "\x00" not in r.text), None)
        if reply is None:
            break
        found[reply.text.strip()] = reply
    return tuple(found.values())
