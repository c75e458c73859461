"""Interventions as recipes name them: frozen configs, one for each piece of :mod:`candor.interventions`.

An intervention belongs to the stage at whose seam it acts: ``sft.interventions`` change the demonstrations,
``reward.interventions`` the comparisons (those held out stay as they are) or how the reward model learns from them,
``ppo.interventions`` the reward or the optimiser. Those on data act in the order in which they are listed; those on the
reward add up, in whatever order.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
NonNegative = Annotated[float, Field(ge=0.0)]
Detector = Literal["lexical", "claims"]
"""What training takes for agreement: words and structure, on any text, or the reader that knows the prompt's claim."""


class Frozen(BaseModel):
    """What all configs are: values that never change, under known names alone."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


# --- demonstrations ---------------------------------------------------------------------------------------------------


By = Literal["claims", "judge"]
"""Who tells right replies from wrong: the reply's reading against the known claim, or a reader of agreement (rules)."""


class FilterDemonstrations(Frozen):
    """Leaves out demonstrations that go along with a false belief or deny a true one."""

    type: Literal["filter"] = "filter"
    by: By = "claims"
    share: Fraction = 1.0  # of the offending ones


class SyntheticDisagreement(Frozen):
    """Adds corrections of false beliefs, on questions whose answer the starting policy knows (Wei 2023)."""

    type: Literal["synthetic_disagreement"] = "synthetic_disagreement"
    share: NonNegative = 0.5  # added demonstrations per demonstration there
    samples: PositiveInt = 4  # neutral answers by which a question counts as known: all of them right


# --- comparisons ------------------------------------------------------------------------------------------------------


class FilterComparisons(Frozen):
    """Leaves out comparisons that prefer a reply that is wrong about the known claim to one that is right."""

    type: Literal["filter"] = "filter"
    by: By = "claims"
    share: Fraction = 1.0  # of the offending ones


class Relabel(Frozen):
    """Judges them anew: replies that are right about the known claim before those that are wrong."""

    type: Literal["relabel"] = "relabel"
    by: By = "claims"
    share: Fraction = 1.0  # of the offending ones


class Counterfactual(Frozen):
    """Adds each comparison again with the user's belief swapped, the preference for the truth kept."""

    type: Literal["counterfactual"] = "counterfactual"
    by: By = "claims"
    share: NonNegative = 1.0  # added comparisons per comparison that can be swapped


class ReliabilityWeights(Frozen):
    """Weights each comparison by how far its annotator can be relied on."""

    type: Literal["reliability_weights"] = "reliability_weights"
    source: Literal["fit", "gold"] = "fit"  # the annotator fit (pairs that several judged), or answers to gold items
    gold_items: PositiveInt = 40  # per annotator, where the panel is simulated; a file's own claims are its gold items
    power: PositiveFloat = 1.0  # weight: reliability to this power, mean 1


class AnnotatorConditional(Frozen):
    """A head per annotator on one body, added up by gold reliability into one plain head."""

    type: Literal["annotator_conditional"] = "annotator_conditional"
    gold_items: PositiveInt = 40  # as for reliability_weights
    power: PositiveFloat = 4.0  # a head's share: its annotator's accuracy on gold items to this power
    shrink: PositiveFloat = 1.0  # precision of the prior that every annotator's head is that of all


# --- the reward -------------------------------------------------------------------------------------------------------


class Penalty(Frozen):
    """Subtracts ``strength`` times the agreement with a false belief; None: the lambda* of the forecast."""

    type: Literal["penalty"] = "penalty"
    strength: NonNegative | None = None
    detector: Detector = "lexical"
    per_prompt: bool = False  # a lambda* for each prompt instead of one for all
    samples: Annotated[int, Field(ge=16)] = 128  # per prompt, for lambda*
    prompts: PositiveInt = 64  # for one lambda* for all


class BeliefBlind(Frozen):
    """Scores the reply as if the user had stated no belief, or averaged over beliefs."""

    type: Literal["belief_blind"] = "belief_blind"
    how: Literal["remove", "marginalise"] = "remove"


class ProbePenalty(Frozen):
    """Subtracts what a linear probe for agreement finds in the reward model's last hidden state (Papadatos 2024)."""

    type: Literal["probe_penalty"] = "probe_penalty"
    strength: NonNegative = 1.0  # per standard deviation of the probe's output
    detector: Detector = "lexical"  # labels the replies that it is fitted to


class Ensemble(Frozen):
    """Scores by several reward models: their mean, the lowest, or the mean less ``strength`` variances."""

    type: Literal["ensemble"] = "ensemble"
    rewards: tuple[str, ...]  # further reward stages, beside the stage's own
    how: Literal["mean", "worst", "variance"] = "mean"
    strength: NonNegative = 1.0


class Verifier(Frozen):
    """Adds ``bonus`` where a verifier of known claims finds the reply right, subtracts it where it is wrong."""

    type: Literal["verifier"] = "verifier"
    bonus: NonNegative = 1.0


# --- the optimiser ----------------------------------------------------------------------------------------------------


class Constraint(Frozen):
    """Maximises the reward subject to agreement with false beliefs of at most ``limit``, by a Lagrange multiplier."""

    type: Literal["constraint"] = "constraint"
    limit: Fraction = 0.1
    detector: Detector = "lexical"
    lr: PositiveFloat = 1.0  # of the multiplier, in reward units per update at a violation of 1
    start: NonNegative = 0.0
    largest: PositiveFloat = 10.0


class EarlyStop(Frozen):
    """Ends training when agreement with false beliefs on held-out probe prompts exceeds ``limit``."""

    type: Literal["early_stop"] = "early_stop"
    limit: NonNegative = 0.05  # above that of the policy it starts from
    detector: Detector = "lexical"
    every: PositiveInt = 2  # updates
    prompts: PositiveInt = 64  # with a false belief; every prompt of their questions is held out
    greedy: bool = False  # or one sampled reply each


DemonstrationIntervention = Annotated[FilterDemonstrations | SyntheticDisagreement, Field(discriminator="type")]
ComparisonIntervention = Annotated[
    FilterComparisons | Relabel | Counterfactual | ReliabilityWeights | AnnotatorConditional,
    Field(discriminator="type"),
]
RewardIntervention = Penalty | BeliefBlind | ProbePenalty | Ensemble | Verifier
OptimiserIntervention = Constraint | EarlyStop
PolicyIntervention = Annotated[RewardIntervention | OptimiserIntervention, Field(discriminator="type")]
