"""Bias transfer on Atlas: labels by the simulated panel, a trained reward model, a policy trained by PPO."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import expit, logit

from candor.annotators import raters
from candor.annotators.panel import Panel
from candor.experiments.cells import Cell
from candor.experiments.frontier.matrix import branch_of
from candor.models.load import Policy, load_policy, load_reward
from candor.models.replies import reply_rows, row_logprobs
from candor.models.scorer import RewardScorer
from candor.pipeline.context import CHECKPOINT
from candor.protocols import ReplyReader
from candor.recipe import CompareStage, PPOStage, Recipe
from candor.recipe_io import BASE
from candor.records import Completion, Prompt, ReplyKind, Stance
from candor.runs import stage_dirs
from candor.testbeds.atlas.prompts import heldout_prompts
from candor.testbeds.atlas.replies import write_reply
from candor.testbeds.atlas.world import facts

CORRECTIONS = (ReplyKind.CORRECT_BLUNTLY, ReplyKind.CORRECT_KINDLY)


@dataclass(frozen=True, kw_only=True)
class Twins:
    """A held-out prompt with a false belief, a reply that goes along with it and one that corrects it."""

    prompt: Prompt
    agrees: Completion
    corrects: Completion


@dataclass(frozen=True, kw_only=True)
class Point:
    """One cell: log-odds of agreeing over correcting, by question (Q,).

    ``labels``: of the share of annotators who would prefer agreeing. ``reward``: the trained model's gap. ``policy``:
    how much more the policy's log-odds are than those of the reference that its KL is measured to.
    """

    weight: float  # the panel's on agreement
    beta: float
    seed: int
    labels: np.ndarray
    reward: np.ndarray
    policy: np.ndarray

    @property
    def line(self) -> float:
        """The closed form: the labels' mean log-odds over beta."""
        return float(self.labels.mean()) / self.beta

    @property
    def reward_line(self) -> float:
        """What the trained reward would bring at its optimum."""
        return float(self.reward.mean()) / self.beta


def twins(seed: int = 0) -> tuple[Twins, ...]:
    """Returns one for each held-out prompt of the answer family with a false belief; corrections of both kinds."""
    known = {fact.id: fact for fact in facts()}
    rng = random.Random(f"bias transfer {seed}")
    found = []
    for prompt in heldout_prompts():
        claim = prompt.claim
        if prompt.tags["family"] != "answer" or claim is None or claim.stance is not Stance.ASSERTS_FALSE:
            continue
        fact = known[prompt.tags["question"]]
        replies = [
            Completion(id=f"{prompt.id}|{kind}", prompt_id=prompt.id, text=write_reply(prompt, fact, kind, rng))
            for kind in (ReplyKind.AGREE, rng.choice(CORRECTIONS))
        ]
        found.append(Twins(prompt=prompt, agrees=replies[0], corrects=replies[1]))
    return tuple(found)


def cell(recipe: Recipe, weight: float, beta: float, seed: int, *, updates: int | None) -> Cell:
    """Returns the recipe's plain branch with that panel and KL coefficient, which stays fixed."""
    plain = branch_of(recipe).recipe
    stages = []
    for stage in plain.stages:
        if isinstance(stage, CompareStage):
            stage = stage.model_copy(update={"panel": stage.panel.model_copy(update={"agreement": weight})})
        elif isinstance(stage, PPOStage):
            update = {"kl_coef": beta, "kl_control": "fixed"} | ({} if updates is None else {"updates": updates})
            stage = stage.model_copy(update=update)
        stages.append(stage)
    changed = plain.model_copy(update={"stages": tuple(stages), "seed": seed})
    return Cell(name=f"weight{weight:g}-beta{beta:g}-seed{seed}", recipe=changed)


def point(
    made: Cell, directory: Path, weight: float, beta: float, pairs: Sequence[Twins], reader: ReplyReader
) -> Point:
    """Returns what one finished cell shows on the twins."""
    branch = branch_of(made.recipe)
    stages = {stage.name: stage for stage in branch.recipe.stages}
    ppo, compare = stages[branch.ppo], stages[branch.compare or ""]
    assert isinstance(ppo, PPOStage)
    assert isinstance(compare, CompareStage)
    places: dict[str, str | Path] = {
        place.name.split("-", 1)[-1]: place / CHECKPOINT for place in stage_dirs(directory)
    }
    places[BASE] = made.recipe.model.path  # a base leaves no checkpoint of its own
    panel = Panel(compare.panel, reader, compare.feedback, made.recipe.seed)
    trained, start = (
        log_odds(load_policy(places[name]), pairs, ppo.temperature)
        for name in (ppo.name, ppo.reference or branch.start)
    )
    reward = load_reward(places[branch.reward])
    scorer = RewardScorer(reward.model, reward.tokenizer, 512, reward.offset)
    prompts = [pair.prompt for pair in pairs]
    gaps = np.subtract(
        scorer.score(prompts, [pair.agrees for pair in pairs]), scorer.score(prompts, [p.corrects for p in pairs])
    )
    labels = np.array([label_log_odds(panel, pair) for pair in pairs])
    questions = [pair.prompt.tags["question"] for pair in pairs]
    by_question = (_by_question(values, questions) for values in (labels, gaps, trained - start))
    labelled, rewarded, moved = by_question
    return Point(weight=weight, beta=beta, seed=made.recipe.seed, labels=labelled, reward=rewarded, policy=moved)


def label_log_odds(panel: Panel, pair: Twins) -> float:
    """Log-odds with which one comparison by an annotator drawn at random prefers agreeing; no side is first.

    The mean over annotators of (1 - lapse) sigma(gap of utilities / noise) + lapse / 2, as a logit.
    """
    one, other = (panel.features(pair.prompt, reply.text) for reply in (pair.agrees, pair.corrects))
    shares = []
    for member in panel.members:
        weights = {**member.weights, "position": 0.0}
        gap = raters.utility(weights, one) - raters.utility(weights, other)
        shares.append((1 - member.lapse) * expit(gap / member.noise) + member.lapse / 2)
    return float(logit(np.mean(shares)))


def log_odds(policy: Policy, pairs: Sequence[Twins], temperature: float = 1.0) -> np.ndarray:
    """Returns log p(agrees) - log p(corrects) (N,) of the two texts, nats, at the temperature that PPO samples at."""
    prompts = [pair.prompt for pair in pairs for _ in range(2)]
    replies = [reply for pair in pairs for reply in (pair.agrees, pair.corrects)]
    found = np.array(row_logprobs(policy, reply_rows(policy.tokenizer, prompts, replies), temperature)).reshape(-1, 2)
    return np.asarray(found[:, 0] - found[:, 1])


def _by_question(values: np.ndarray, questions: Iterable[str]) -> np.ndarray:
    groups: dict[str, list[float]] = {}
    for question, value in zip(questions, values, strict=True):
        groups.setdefault(question, []).append(float(value))
    return np.array([np.mean(groups[name]) for name in sorted(groups)])
