"""What ``import candor`` gives: run recipes, read runs, and the pieces of which a training loop is made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from candor.auditing.policy import audit_policy
from candor.auditing.preferences import audit_preferences
from candor.auditing.reward import audit_reward
from candor.errors import InputError
from candor.generation import InProcessSampler
from candor.models.chat import decode_reply, encode_prompt, encode_reply
from candor.models.heads import ValueModel
from candor.models.load import (
    Policy,
    Reward,
    load_policy,
    load_reward,
    reward_from_policy,
    save_policy,
    save_reward,
    start_reward,
)
from candor.models.replies import reply_batch
from candor.models.scorer import RewardScorer
from candor.ops.logprobs import sequence_logprobs
from candor.pipeline import run as pipeline
from candor.pipeline.estimate import MemoryEstimate
from candor.pipeline.estimate import estimate as memory
from candor.pipeline.progress import Reporter, Silent, working
from candor.pipeline.tensorboard import TensorBoard
from candor.pipeline.tracking import Tracker
from candor.preferences.formats import read_comparisons, stream_comparisons, write_comparisons
from candor.recipe import Recipe
from candor.recipe_io import apply_overrides, load_recipe
from candor.records import (
    Claim,
    Comparison,
    Completion,
    Demonstration,
    Finding,
    Message,
    Pair,
    ParsedReply,
    Prompt,
    ReplyKind,
    Stance,
)
from candor.results import Run, list_runs, locate_run
from candor.results.checks import Checked

__all__ = [
    "Checked",
    "Claim",
    "Comparison",
    "Completion",
    "Demonstration",
    "Finding",
    "InProcessSampler",
    "InputError",
    "MemoryEstimate",
    "Message",
    "Pair",
    "ParsedReply",
    "Policy",
    "Prompt",
    "Recipe",
    "ReplyKind",
    "Reward",
    "RewardScorer",
    "Run",
    "Stance",
    "TensorBoard",
    "Tracker",
    "ValueModel",
    "apply_overrides",
    "attribute",
    "audit_policy",
    "audit_preferences",
    "audit_reward",
    "bias_transfer",
    "decode_reply",
    "encode_prompt",
    "encode_reply",
    "estimate",
    "forecast",
    "frontier",
    "judges",
    "list_runs",
    "load_policy",
    "load_recipe",
    "load_reward",
    "pretrain_atlas",
    "read_comparisons",
    "reply_batch",
    "reward_from_policy",
    "run",
    "save_policy",
    "save_reward",
    "sequence_logprobs",
    "start_reward",
    "stream_comparisons",
    "write_comparisons",
]


def run(
    recipe: Recipe | str | Path | None = None,
    *,
    out: str | Path | None = None,
    seed: int | None = None,
    overrides: Iterable[str] = (),
    tell: Reporter | None = None,
    tracker: Tracker | None = None,
) -> Run:
    """Runs a recipe (an object, a file, a packaged name, or None for the default) and returns the finished run.

    ``out`` defaults to ``runs/<name>-seed<seed>`` under the current directory. ``overrides`` are texts such as
    ``"ppo.kl_coef=0.2"``. ``tracker`` (such as ``candor.TensorBoard("tb")``) watches the run. Called again with the
    same arguments it resumes, or returns at once.
    Raises InputError for anything that the caller can set right.
    """
    wanted = prepare(recipe, seed=seed, overrides=overrides)
    return Run(pipeline.run(wanted, Path(out) if out else default_directory(wanted), tell=tell, tracker=tracker))


def prepare(
    recipe: Recipe | str | Path | None = None, *, seed: int | None = None, overrides: Iterable[str] = ()
) -> Recipe:
    """The recipe that :func:`run` will run. Raises InputError for what cannot be used."""
    if seed is not None and seed < 0:
        raise InputError(f"expected 0 or more, got {seed}", where="seed")
    loaded = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    changed = apply_overrides(loaded, overrides)
    return changed if seed is None else changed.model_copy(update={"seed": seed})


def estimate(recipe: Recipe | str | Path | None = None, *, overrides: Iterable[str] = ()) -> MemoryEstimate:
    """Returns the memory that every stage of a recipe will take, in bytes, from the model's config.json alone.

    Raises InputError for a recipe or a model that cannot be used.
    """
    return memory(prepare(recipe, overrides=overrides))


def frontier(
    recipe: Recipe | str | Path | None = None,
    *,
    interventions: Iterable[str] | None = None,
    plan: str | Path | None = None,
    seeds: Sequence[int] | int | None = None,
    workers: int | None = None,
    out: str | Path | None = None,
    tell: Reporter | None = None,
) -> Checked:
    """Runs a recipe as it is and with every intervention; returns what each one gains and costs, judged.

    ``interventions``: names, or ``"name:strength"``, of those that Candor has or of ``plan``, a TOML file; None for
    all. ``seeds``: which, or how many from the recipe's on; None for three. ``out`` defaults to ``frontiers/<name>``.
    Called again it computes only what is new. Raises InputError for anything that the caller can set right.
    """
    from candor.experiments.frontier.run import frontier as experiment

    wanted = prepare(recipe)
    return experiment(
        wanted,
        Path(out) if out else Path("frontiers") / wanted.name,
        interventions=interventions,
        plan=None if plan is None else Path(plan),
        seeds=_seeds(wanted, seeds),
        workers=workers,
        tell=tell,
    )


def attribute(
    recipe: Recipe | str | Path | None = None,
    *,
    factors: Iterable[str] | None = None,
    seeds: Sequence[int] | int | None = None,
    clean_base: str | Path | None = None,
    clean_demonstrations: str | Path | None = None,
    clean_labels: str | Path | None = None,
    clean_beta: float | None = None,
    workers: int | None = None,
    out: str | Path | None = None,
    tell: Reporter | None = None,
) -> Checked:
    """Runs a recipe with each factor as it is and clean, in every combination; returns each one's share of the blame.

    ``factors``: of base, demonstrations, labels and optimiser; None for all that have a clean counterpart: the files
    and the KL coefficient given, or Atlas's own. ``seeds``: which, or how many from the recipe's on; None for three.
    ``out`` defaults to ``attributions/<name>``; called again it computes only what is new. Raises InputError for
    anything that the caller can set right.
    """
    from candor.experiments.attribution.factors import Clean
    from candor.experiments.attribution.run import attribute as experiment

    wanted = prepare(recipe)
    places = (clean_base, clean_demonstrations, clean_labels)
    base, demonstrations, labels = (None if place is None else Path(place).resolve() for place in places)
    return experiment(
        wanted,
        Path(out) if out else Path("attributions") / wanted.name,
        factors=factors,
        clean=Clean(base=base, demonstrations=demonstrations, labels=labels, beta=clean_beta),
        seeds=_seeds(wanted, seeds),
        workers=workers,
        tell=tell,
    )


def bias_transfer(
    recipe: Recipe | str | Path | None = None,
    *,
    weights: Sequence[float] | None = None,
    betas: Sequence[float] | None = None,
    seeds: Sequence[int] | int | None = None,
    updates: int = 48,
    tree_only: bool = False,
    workers: int | None = None,
    out: str | Path | None = None,
    tell: Reporter | None = None,
) -> Checked:
    """Sweeps the annotators' bias and beta; returns what reached labels, reward model and policy, beside b / beta.

    ``weights``: of agreement in the simulated panel; ``betas``: KL coefficients; ``updates``: of PPO. ``tree_only``
    leaves the runs on Atlas out. ``out`` defaults to ``bias-transfer``; called again it computes only what is new.
    Raises InputError for anything that the caller can set right.
    """
    from candor.experiments.bias_transfer.run import bias_transfer as experiment

    wanted = prepare(recipe)
    return experiment(
        wanted,
        Path(out) if out else Path("bias-transfer"),
        weights=weights,
        betas=betas,
        seeds=_seeds(wanted, seeds),
        updates=updates,
        tree_only=tree_only,
        workers=workers,
        tell=tell,
    )


def forecast(
    policy: str | Path | None = None,
    reward: str | Path | None = None,
    *,
    run: str | Path | None = None,
    prompts: str | Path = "atlas",
    number: int | None = None,
    samples: int = 128,
    betas: Sequence[float] | None = None,
    kls: Sequence[float] | None = None,
    best_of: Sequence[int] | None = None,
    temperature: float | None = None,
    max_new_tokens: int | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    tell: Reporter | None = None,
) -> Checked:
    """Returns what optimising ``reward`` would do to ``policy``, from samples of the policy as it is.

    ``run`` gives both where they are left out, what its PPO starts from, and how that samples and scores replies (else
    temperature 1, 48 tokens). ``number``: of prompts; None for 200 of Atlas and all of a file. ``betas``, ``kls``
    (nats) and ``best_of``: None for a grid, empty for none. ``out`` defaults to ``forecasts/<policy>`` and keeps the
    samples. Raises InputError for anything that the caller can set right.
    """
    from candor.experiments import forecast as experiment

    place = None if run is None else locate_run(str(run))
    found = {} if place is None or (policy and reward) else dict(experiment.pairs_of_run(place))
    policy, reward = policy or found.get("policy"), reward or found.get("reward")
    if policy is None or reward is None:
        raise InputError("a forecast needs a policy and a reward model", fix="give both, or a run that has them")
    name = place.resolve().name if place is not None else _model_name(policy)
    given = {"temperature": temperature, "max_new_tokens": max_new_tokens}
    settings = {} if place is None else dict(experiment.settings_of_run(place))
    settings |= {field: value for field, value in given.items() if value is not None}
    asked = experiment.Asked(prompts=str(prompts), number=number, samples=samples, seed=seed, **settings)
    return experiment.forecast_policy(
        policy,
        reward,
        Path(out) if out else Path("forecasts") / name,
        asked=asked,
        betas=experiment.BETAS if betas is None else betas,
        kls=experiment.KLS if kls is None else kls,
        best_of=experiment.BEST_OF if best_of is None else best_of,
        tell=tell,
    )


def judges(run: str | Path, *, out: str | Path | None = None, seed: int = 0, tell: Reporter | None = None) -> Checked:
    """Returns how often a finished run's policies are preferred to its demonstrators, by votes and without their bias.

    ``run``: a directory, or a name under ``runs/``; ``out`` defaults to ``judges`` in it. Raises InputError for one
    that is not finished, or whose audit was not on Atlas.
    """
    from candor.experiments.judges import judges as experiment

    place = locate_run(str(run))
    return experiment(place, Path(out) if out else place / "judges", seed=seed, tell=tell)


def _model_name(model: str | Path) -> str:
    """The last part of where a model lies that says something: a stage's directory rather than ``checkpoint``."""
    place = Path(model)
    return place.resolve().parent.name if place.name == "checkpoint" else place.name


def _seeds(recipe: Recipe, seeds: Sequence[int] | int | None) -> Sequence[int] | None:
    return range(recipe.seed, recipe.seed + seeds) if isinstance(seeds, int) else seeds


def default_directory(recipe: Recipe) -> Path:
    """Where a recipe runs unless told otherwise."""
    return Path("runs") / f"{recipe.name}-seed{recipe.seed}"


def pretrain_atlas(out: str | Path, *, seed: int = 0, tell: Reporter | None = None) -> Path:
    """Pretrains the embedded testbed's base model from nothing into ``out`` and returns it."""
    from candor.experiments.pretrain_atlas import pretrain

    tell = tell or Silent()
    with working(tell, "pretrain"):
        for update in pretrain(Path(out), seed=seed):
            tell.update(update.step, update.metrics)
    return Path(out)
