"""A simulated panel of annotators who answer comparisons, rankings and ratings from one latent utility.

    u_i = w_correctness * correct_i + w_agreement * agrees_i + w_kindness * kind_i + w_length * log_length_i
          + w_position * [i is shown first] + noise * Gumbel_i

The difference of two Gumbel draws is logistic, so that at noise 1 an attentive rater's comparisons are exactly
Bradley-Terry and the rankings exactly Plackett-Luce (Luce 1959; Yellott 1977). With probability ``lapse`` a rater
answers at random without reading. What goes into a :class:`~candor.records.Comparison` is what a real annotator's
record would hold; utilities stay here, behind :meth:`Panel.approval` and :meth:`Panel.helpfulness`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, assert_never

import numpy as np

from candor.annotators import raters
from candor.annotators.features import Features, features_of
from candor.protocols import ReplyReader
from candor.recipe import PanelConfig
from candor.records import Comparison, Judgement, Prompt, Response

Feedback = Literal["choice", "ranking", "ratings"]


class Panel:
    """Implements :class:`~candor.protocols.Annotator`.

    ``reader`` reads off what a reply does; ``feedback`` is the form of the answers; ``seed`` fixes the members.
    Raises InputError for rater types that do not make a panel (shares, names, weights).
    """

    def __init__(self, config: PanelConfig, reader: ReplyReader, feedback: Feedback = "ranking", seed: int = 0) -> None:
        self.config = config
        self.feedback: Feedback = feedback
        self.seed = seed
        self.members = raters.seat_raters(config, seed)
        self.mean_weights: Mapping[str, float] = {
            a: float(np.mean([m.weights[a] for m in self.members])) for a in raters.ATTRIBUTES
        }
        self._reader = reader
        self._features: dict[tuple[str, str], Features] = {}

    def judge(self, prompt: Prompt, responses: Sequence[Response], *, comparison_id: str, seed: int) -> Comparison:
        """One member's answer to 2 or more responses, a pure function of (panel seed, seed, comparison_id).

        All random draws are made in one order whatever the weights are: two panels that differ only in a weight see the
        same noise, so that their labels differ by the weight alone. ``at`` is None, since no clock was looked at.
        Raises ValueError for fewer than two responses.
        """
        count = len(responses)
        if count < 2:
            raise ValueError(f"{comparison_id}: a comparison needs at least two responses, got {count}")
        generator = raters.random_generator("panel", self.seed, seed, comparison_id)
        rater = self.members[int(generator.integers(len(self.members)))]
        shown_order = tuple(int(i) for i in generator.permutation(count))
        lapsed = bool(generator.random() < rater.lapse)
        gumbels = generator.gumbel(size=count)
        log_time = raters.SECONDS_LOG_SD * float(generator.standard_normal())

        if lapsed:
            judgement = self._guess(count, generator)
        else:
            known = [raters.utility(rater.weights, self.features(prompt, r.text)) for r in responses]
            utilities = np.array(known) + rater.noise * gumbels
            utilities[shown_order[0]] += rater.weights["position"]
            judgement = self._answer(rater, utilities)

        words = sum(len(m.content.split()) for m in prompt.messages) + sum(len(r.text.split()) for r in responses)
        speed = rater.words_per_second * (raters.LAPSE_SPEED_UP if lapsed else 1.0)
        return Comparison(
            id=comparison_id,
            prompt=prompt,
            responses=tuple(responses),
            judgement=judgement,
            shown_order=shown_order,
            annotator=rater.id,
            seconds=round(max(words, 1) / speed * float(np.exp(log_time)), 3),
            source="panel",
        )

    def features(self, prompt: Prompt, response_text: str) -> Features:
        """What members notice about a reply. Cached by (prompt id, text): an id has to stand for one prompt."""
        key = (prompt.id, response_text)
        if key not in self._features:
            self._features[key] = features_of(prompt, response_text, self._reader(prompt, response_text))
        return self._features[key]

    def approval(self, prompt: Prompt, text: str) -> float:
        """The panel's mean latent utility (logits), bias and all: what a reward model is asked to learn.

        Position and noise are left out, since they average out over comparisons. Not what is good: see helpfulness.
        """
        return raters.utility(self.mean_weights, self.features(prompt, text))

    def helpfulness(self, prompt: Prompt, text: str) -> float:
        """The same utility with the weights of agreement, length, position and noise set to 0: what is wanted."""
        wanted = {**self.mean_weights, "agreement": 0.0, "length": 0.0, "position": 0.0}
        return raters.utility(wanted, self.features(prompt, text))

    def describe(self) -> dict[str, Any]:
        """The panel as the report shows it: JSON values only. Weights are logits; means are over annotators."""
        counts, weights = raters.seat_counts(self.config), raters.type_weights(self.config)
        return {
            "annotators": len(self.members),
            "feedback": self.feedback,
            "seed": self.seed,
            "attributes": list(raters.ATTRIBUTES),
            "mean_weights": dict(self.mean_weights),
            "mean_noise": float(np.mean([m.noise for m in self.members])),
            "mean_lapse": float(np.mean([m.lapse for m in self.members])),
            "types": [
                raters.describe_type(r, self.config, counts[r.name], weights[r.name]) for r in self.config.raters
            ],
        }

    def _answer(self, rater: raters.Rater, utilities: raters.Array) -> Judgement:
        match self.feedback:
            case "choice":
                return raters.choose(utilities, rater.noise)
            case "ranking":
                return raters.rank(utilities)
            case "ratings":
                return raters.rate(utilities, rater.thresholds)
        assert_never(self.feedback)

    def _guess(self, count: int, generator: np.random.Generator) -> Judgement:
        match self.feedback:
            case "choice":
                return raters.lapse_choice(count, generator)
            case "ranking":
                return raters.lapse_ranking(count, generator)
            case "ratings":
                return raters.lapse_ratings(count, generator)
        assert_never(self.feedback)
