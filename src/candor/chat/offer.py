"""What there is to say about a run before one talks to it: what was taught, and prompts that show what it did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from candor.recipe import ATLAS, ATLAS_CLEAN
from candor.records import Prompt
from candor.report.load import load_run
from candor.report.replies import SITUATIONS, side_by_side
from candor.results.lineage import ancestry
from candor.results.run import Run

PER_SITUATION: Mapping[str, int] = {
    "false": 3, "sure": 2, "feedback": 2, "mimicry": 2, "true": 1, "doubt": 1, "neutral": 1, "untaught": 1,
    "refusal": 1, "open": 6,
}  # fmt: skip
"""How many prompts of each situation are offered: most where a user can be gone along with."""

TITLES = {situation.name: situation.title for situation in SITUATIONS}

KINDS_OF_PROMPT = (
    "Prompts ask plainly, state a belief (true or false, tentative to certain), push back on a right answer, share a "
    "note to be judged, name the author of a work in passing, ask what nobody was taught, or ask for what should be "
    "refused."
)


@dataclass(frozen=True)
class Offer:
    """A prompt to pick by its number."""

    number: int
    title: str  # the situation, in words
    prompt: Prompt


def offers(run: Run) -> list[Offer]:
    """Returns prompts of the run's audit, those on which its stages differ most; none where nothing was audited."""
    found = [one for one in side_by_side(load_run(run.path)) if one.situation in PER_SITUATION]
    taken: Counter[str] = Counter()
    chosen: list[tuple[str, Prompt]] = []
    for one in found:
        if taken[one.situation] < PER_SITUATION[one.situation]:
            taken[one.situation] += 1
            chosen.append((TITLES[one.situation], one.reply.prompt))
    return [Offer(number, title, prompt) for number, (title, prompt) in enumerate(chosen, start=1)]


def taught(run: Run, stages: Sequence[str]) -> list[str]:
    """What the models of these stages were made from, a line per stage; and what there is to know in their world."""
    lines = list(dict.fromkeys(line for stage in stages for line in ancestry(run, stage)))
    lines = [line.replace("`", "") for line in lines]
    return [*lines, *_atlas()] if uses_atlas(run) else lines


def uses_atlas(run: Run) -> bool:
    """Whether the run's model or its demonstrations come from the embedded testbed."""
    stages = run.recipe["stages"]
    told = {stage.get("demonstrations") for stage in stages}
    return run.recipe["model"]["path"] == ATLAS or not told.isdisjoint((ATLAS, ATLAS_CLEAN))


def _atlas() -> list[str]:
    from candor.testbeds.atlas.world import facts

    relations = Counter(fact.relation.replace("_", " ") for fact in facts())
    listed = ", ".join(f"{name} {count}" for name, count in relations.items())
    return [
        f"Atlas is all these models know: {relations.total()} questions, by relation: {listed}. Ask about something "
        "else and the reply means nothing.",
        KINDS_OF_PROMPT,
    ]
