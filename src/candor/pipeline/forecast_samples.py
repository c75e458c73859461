"""Draws what a forecast is made from: m replies per prompt, their rewards, and what each reply does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from candor.annotators.panel import Panel
from candor.audits.observations import ANSWER, Observation
from candor.errors import InputError
from candor.forecasting.arrays import FloatArray
from candor.forecasting.samples import Samples
from candor.generation.sampler import InProcessSampler, Settings
from candor.models.load import Policy, Reward
from candor.models.scorer import RewardScorer
from candor.ops.randomness import step_seed
from candor.ops.rollouts import final_scores
from candor.pipeline.progress import Reporter, working
from candor.pipeline.sources import opinions_known
from candor.protocols import AgreementReader, ReplyReader, Sampler, Scorer
from candor.records import Completion, Prompt, ReplyKind, Stance

ROWS = 4_096
"""Replies that are drawn, scored and read before the next ones: what is held in memory as text."""

SHARE = "share_"
"""Starts the names of the shares of reply kinds: ``share_agree``, ``share_hedge``, ..."""


@dataclass(frozen=True, kw_only=True)
class MissingEos:
    """What optimisation does to the score of a reply that is cut off at the token limit, as in a ppo stage."""

    how: Literal["replace", "subtract"] = "replace"
    score: float = -1.0


def draw(
    policy: Policy,
    sampling: Settings,
    reward: Reward,
    prompts: Sequence[Prompt],
    reader: ReplyReader,
    panel: Panel | None,
    *,
    samples: int,
    seed: int,
    tell: Reporter,
    agreement: AgreementReader | None = None,
    missing_eos: MissingEos | None = None,
    max_length: int = 512,
    batch_size: int = 256,
) -> Samples:
    """Returns ``samples`` replies of ``policy`` per prompt under ``reward``; see :func:`measure_samples`.

    Raises InputError where a prompt or a reply does not fit one of the two models, or greedy replies are asked for.
    """
    if sampling.greedy:
        raise InputError("a forecast needs replies that are drawn, not greedy ones")
    sampler = InProcessSampler(
        policy.model,
        policy.tokenizer,
        temperature=sampling.temperature,
        max_new_tokens=sampling.max_new_tokens,
        batch_size=batch_size,
    )
    scorer = RewardScorer(reward.model, reward.tokenizer, max_length, reward.offset)
    found = measure_samples(
        sampler,
        scorer,
        prompts,
        reader,
        panel,
        samples=samples,
        seed=seed,
        tell=tell,
        agreement=agreement,
        missing_eos=missing_eos,
    )
    if scorer.truncation.cut:
        tell.note(f"{scorer.truncation.cut} of {scorer.truncation.total} replies scored with their prompt cut")
    return found


def measure_samples(
    sampler: Sampler,
    scorer: Scorer,
    prompts: Sequence[Prompt],
    reader: ReplyReader,
    panel: Panel | None,
    *,
    samples: int,
    seed: int,
    tell: Reporter,
    agreement: AgreementReader | None = None,
    missing_eos: MissingEos | None = None,
    name: str = "sampling",
) -> Samples:
    """Draws ``samples`` replies per prompt, scores them and reads off what each does.

    Statistics: ``false_belief_agreement``, ``true_belief_agreement`` and ``neutral_accuracy`` on taught questions of
    the answer family; ``share_<kind>`` of each reply kind, on prompts with a claim or to be refused; ``approval`` and
    ``helpfulness`` where there is a ``panel``; ``words``; ``cut``, the share of replies stopped at the token limit; and
    ``agreement`` with the view stated in a prompt without a claim, where there is such a reader. Those that apply to no
    prompt are left out. ``missing_eos`` sets the score of cut replies as training does. Raises InputError without
    prompts or replies, and for a reward that is not finite.
    """
    if not prompts or samples < 1:
        raise InputError(f"a forecast needs prompts and replies, not {len(prompts)} prompts and {samples} replies each")
    eyes = _Eyes(reader=reader, panel=panel, agreement=agreement)
    rewards = np.empty((len(prompts), samples))
    columns: dict[str, FloatArray] = {}
    with working(tell, name, len(prompts)):
        for number, places in enumerate(_parts(len(prompts), samples)):
            asked = [prompts[i] for i in places]
            replies = sampler.sample(asked, n=samples, seed=step_seed(seed, "forecast", number))
            distinct = _Distinct.of(asked, replies, samples)
            rewards[places] = distinct.spread(_scores(scorer, distinct, missing_eos)).reshape(len(places), samples)
            read = [eyes.see(prompt, reply) for prompt, reply in zip(distinct.prompts, distinct.replies, strict=True)]
            for name in {name for row in read for name in row}:
                column = columns.setdefault(name, np.full(rewards.shape, np.nan))
                values = np.array([row.get(name, np.nan) for row in read])
                column[places] = distinct.spread(values).reshape(len(places), samples)
            tell.update(int(places[-1]) + 1)
    return Samples(
        prompts=tuple(prompt.id for prompt in prompts),
        clusters=tuple(prompt.tags.get("question") or prompt.id for prompt in prompts),
        rewards=rewards,
        statistics={name: columns[name] for name in sorted(columns)},
    )


def false_belief(prompt: Prompt) -> bool:
    """Whether ``false_belief_agreement`` applies: a taught question of the answer family, asserted wrongly."""
    return _stance(prompt) is Stance.ASSERTS_FALSE


def _stance(prompt: Prompt) -> Stance | None:
    """What the user said about a taught question of the answer family; None for every other prompt."""
    taught = prompt.claim is not None and prompt.claim.truth is not None
    return prompt.claim.stance if prompt.claim and taught and prompt.tags.get("family", ANSWER) == ANSWER else None


@dataclass(frozen=True, kw_only=True)
class _Eyes:
    reader: ReplyReader
    panel: Panel | None
    agreement: AgreementReader | None

    def see(self, prompt: Prompt, reply: Completion) -> Mapping[str, float]:
        """The statistics that apply to the prompt, of one reply."""
        found = {"words": float(len(reply.text.split())), "cut": float(reply.stop_reason == "length")}
        if opinions_known([prompt]):
            found |= self._kinds(prompt, reply)
        elif self.agreement is not None:
            value = self.agreement.agreement(prompt, reply.text)
            found |= {} if value is None else {"agreement": value}
        if self.panel is not None:
            found["approval"] = self.panel.approval(prompt, reply.text)
            found["helpfulness"] = self.panel.helpfulness(prompt, reply.text)
        return found

    def _kinds(self, prompt: Prompt, reply: Completion) -> dict[str, float]:
        parsed = self.reader(prompt, reply.text)
        found = {f"{SHARE}{kind.value}": float(parsed.kind is kind) for kind in ReplyKind}
        agrees = float(parsed.kind is ReplyKind.AGREE)
        match _stance(prompt):
            case Stance.ASSERTS_FALSE:
                found["false_belief_agreement"] = agrees
            case Stance.ASSERTS_TRUE:
                found["true_belief_agreement"] = agrees
            case Stance.NEUTRAL:
                seen = Observation(id=reply.id, prompt=prompt, subject="", text=reply.text, parsed=parsed)
                found["neutral_accuracy"] = float(seen.right)
        return found


@dataclass(frozen=True)
class _Distinct:
    """Replies without repetitions: a small policy says few different things, and each is scored and read once."""

    prompts: tuple[Prompt, ...]
    replies: tuple[Completion, ...]
    places: np.ndarray  # which distinct reply stands in each place of the list

    @classmethod
    def of(cls, prompts: Sequence[Prompt], replies: Sequence[Completion], each: int) -> _Distinct:
        known: dict[tuple[int, str, tuple[int, ...], str], int] = {}
        first: list[int] = []
        places = []
        for i, reply in enumerate(replies):
            key = (i // each, reply.text, reply.token_ids, reply.stop_reason)
            if key not in known:
                known[key] = len(first)
                first.append(i)
            places.append(known[key])
        return cls(tuple(prompts[i // each] for i in first), tuple(replies[i] for i in first), np.array(places))

    def spread(self, values: FloatArray) -> FloatArray:
        """One value for every reply of the list."""
        return np.asarray(values[self.places], dtype=np.float64)


def _scores(scorer: Scorer, distinct: _Distinct, missing_eos: MissingEos | None) -> FloatArray:
    scores = np.asarray(scorer.score(distinct.prompts, distinct.replies), dtype=np.float64)
    if not np.all(np.isfinite(scores)):
        wrong = distinct.prompts[int(np.argmin(np.isfinite(scores)))]
        raise InputError("the reward model gives a score that is not finite", where=f"prompt {wrong.id}")
    if missing_eos is None:
        return scores
    whole = torch.tensor([reply.stop_reason != "length" for reply in distinct.replies])
    counted = final_scores(
        torch.from_numpy(scores), whole, missing_eos=missing_eos.how, missing_eos_score=missing_eos.score
    )
    return np.asarray(counted.numpy(), dtype=np.float64)


def _parts(prompts: int, samples: int) -> Iterator[np.ndarray]:
    """Which prompts go together: as many as make up about ``ROWS`` replies, and one at least."""
    size = max(1, ROWS // samples)
    for start in range(0, prompts, size):
        yield np.arange(start, min(start + size, prompts))
