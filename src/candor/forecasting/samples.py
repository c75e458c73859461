"""What a forecast is made from: rewards and statistics of m replies per prompt, drawn from the policy as it is now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from candor.forecasting.arrays import FloatArray, table

REWARD, KL = "reward", "kl"
"""Statistics that every forecast has; no other may take their names."""


@dataclass(frozen=True, kw_only=True)
class Samples:
    """m independent replies to each of P prompts.

    ``rewards`` (P, m): what will be optimised, in its own units. ``statistics``: by name, (P, m), nan in every reply to
    a prompt that a statistic does not apply to (agreement where no belief was voiced). ``clusters``: for each prompt,
    what it is an instance of (its question): the unit that is drawn when prompts stand for a population.
    Raises ValueError where shapes differ, a reward is not finite or a prompt is nan in part.
    """

    prompts: tuple[str, ...]
    clusters: tuple[str, ...]
    rewards: FloatArray
    statistics: Mapping[str, FloatArray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rewards = table(self.rewards, "rewards")
        if not len(self.prompts) == len(self.clusters) == len(rewards):
            raise ValueError(
                f"{len(self.prompts)} prompts, {len(self.clusters)} clusters and {len(rewards)} rows of rewards"
            )
        if not np.all(np.isfinite(rewards)):
            raise ValueError("rewards must be finite")
        for name, values in self.statistics.items():
            missing = np.isnan(table(values, name))
            if missing.shape != rewards.shape:
                raise ValueError(f"{name} has the shape {missing.shape}, rewards have {rewards.shape}")
            if name in (REWARD, KL):
                raise ValueError(f"{name} is worked out from the rewards and may not be given")
            if np.any(missing.any(axis=1) != missing.all(axis=1)):
                raise ValueError(f"{name} must be nan in all replies to a prompt or in none")

    @property
    def per_prompt(self) -> int:
        """Replies per prompt, m."""
        return int(self.rewards.shape[1])

    @cached_property
    def cluster_index(self) -> np.ndarray:
        """The number (P,) of each prompt's cluster, from 0."""
        return np.unique(np.asarray(self.clusters), return_inverse=True)[1]

    def under(self, rewards: ArrayLike) -> Samples:
        """The same replies under another reward (P, m): what a penalty or another model would do with them."""
        return replace(self, rewards=table(rewards, "rewards"))

    def first(self, number: int) -> Samples:
        """The first ``number`` replies to each prompt."""
        cut = {name: values[:, :number] for name, values in self.statistics.items()}
        return replace(self, rewards=self.rewards[:, :number], statistics=cut)
