"""What a branch of a recipe did against its annotators' bias, in words."""

from __future__ import annotations

from candor.report.load import Run, StageFiles

WORDS = {
    ("sft", "filter"): "demonstrations that go along with false beliefs left out",
    ("sft", "synthetic_disagreement"): "corrections added to the demonstrations",
    ("reward", "filter"): "comparisons that prefer what is wrong left out",
    ("reward", "relabel"): "comparisons relabelled where they preferred what is wrong",
    ("reward", "counterfactual"): "comparisons added with the user's belief swapped",
    ("reward", "reliability_weights"): "comparisons weighted by their annotators' reliability",
    ("reward", "annotator_conditional"): "a head per annotator, added up by reliability",
    ("ppo", "penalty"): "agreement with false beliefs taken off the reward",
    ("ppo", "belief_blind"): "replies scored without the user's belief",
    ("ppo", "probe_penalty"): "what a probe for agreement finds taken off the reward",
    ("ppo", "ensemble"): "several reward models scoring together",
    ("ppo", "verifier"): "a verifier of known claims in the reward",
    ("ppo", "constraint"): "a bound on agreement with false beliefs",
    ("ppo", "early_stop"): "training stopped where agreement rises",
}
"""By the type of the stage and of the intervention."""


def remedies(run: Run, stage: StageFiles) -> tuple[str, ...]:
    """What the stage and those it rests on had put in, in the order of the run."""
    return tuple(words for made in _path(run, stage) for words in own_remedies(made))


def own_remedies(stage: StageFiles) -> tuple[str, ...]:
    """What was put in at the stage itself."""
    types = [str(item.get("type")) for item in stage.config.get("interventions") or ()]
    return tuple(WORDS.get((stage.type, kind), kind.replace("_", " ")) for kind in types)


def _path(run: Run, stage: StageFiles) -> list[StageFiles]:
    names: set[str] = set()
    left = [stage.name]
    known = {made.name: made for made in run.stages}
    while left:
        name = left.pop()
        if name in known and name not in names:
            names.add(name)
            inputs = known[name].manifest.get("inputs") or {}
            left += [str(given["name"]) for given in inputs.values() if given.get("name")]
    return [made for made in run.stages if made.name in names]
