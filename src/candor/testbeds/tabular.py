"""A policy over an enumerated token tree, where everything that RLHF approximates is known in closed form.

A reply is a path of at most ``length`` tokens from a vocabulary of 4 that ends early at the end-of-sequence token;
with length 3 every prompt has 1 + 3 + 9 + 27 = 40 of them. Credit assignment, the value of a prefix and the KL of a
token are real here (a one-step bandit has none of them), and the distance to the optimum can be computed.

The modules take and return what Hugging Face models do, so every training loop runs on them unchanged. Distributions
are float64 tensors (P, R): prompts by replies, in the order of :attr:`TokenTree.replies`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from candor.ops.batches import Row, make_batch
from candor.ops.logprobs import sequence_logprobs
from candor.ops.randomness import generator
from candor.records import Completion, Message, Prompt, Response

EOS = 0


@dataclass(frozen=True, kw_only=True)
class TokenTree:
    """``num_prompts`` trees of replies.

    Token ids: 0 ends a reply, 1 .. vocabulary-1 are letters, then padding, then one token per prompt. Prompts are 1 to
    3 tokens long, so that rows differ in length.
    """

    num_prompts: int = 4
    vocabulary: int = 4
    length: int = 3

    @property
    def letters(self) -> int:
        return self.vocabulary - 1

    @property
    def pad_id(self) -> int:
        return self.vocabulary

    @property
    def num_prefixes(self) -> int:
        """Prefixes from which a token is drawn (inner nodes) of one tree."""
        return sum(self.letters**depth for depth in range(self.length))

    @cached_property
    def replies(self) -> tuple[tuple[int, ...], ...]:
        """Every reply: shortest first, those cut at the length limit (without an end of sequence) last."""
        letters = range(1, self.vocabulary)
        ended = [(*path, EOS) for n in range(self.length) for path in itertools.product(letters, repeat=n)]
        return (*ended, *itertools.product(letters, repeat=self.length))

    @cached_property
    def reply_index(self) -> dict[tuple[int, ...], int]:
        return {reply: index for index, reply in enumerate(self.replies)}

    @cached_property
    def complete(self) -> Tensor:
        """(R,) bool: the reply ends by itself."""
        return torch.tensor([reply[-1] == EOS for reply in self.replies])

    @cached_property
    def prompts(self) -> tuple[Prompt, ...]:
        return tuple(
            Prompt(id=f"tree/{i}", messages=(Message(role="user", content=f"prompt {i}"),))
            for i in range(self.num_prompts)
        )

    def prompt_index(self, prompt: Prompt) -> int:
        return int(prompt.id.rpartition("/")[2])

    def encode(self, prompt: Prompt) -> list[int]:
        index = self.prompt_index(prompt)
        return [self.vocabulary + 1 + index] * (1 + index % 3)

    def text(self, reply: Sequence[int]) -> str:
        return "".join("." if token == EOS else chr(ord("a") + token - 1) for token in reply)

    def states(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """The state (B, T) after each place: prompt * (num_prefixes + 1) + prefix, where the last prefix means "ended".

        Prefixes are numbered as in a heap: letter a after prefix n is prefix ``n * letters + a``.
        """
        ended = self.num_prefixes
        prompt = torch.zeros_like(input_ids[:, 0])
        prefix = torch.zeros_like(prompt)
        states = torch.empty_like(input_ids)
        for t in range(input_ids.shape[1]):
            token, real = input_ids[:, t], attention_mask[:, t].bool()
            is_prompt = real & (token > self.pad_id)
            prompt = torch.where(is_prompt, token - self.pad_id - 1, prompt)
            below = torch.where((token == EOS) | (prefix == ended), ended, prefix * self.letters + token)
            prefix = torch.where(real & ~is_prompt, below.clamp(max=ended), prefix)
            states[:, t] = prompt * (ended + 1) + prefix
        return states

    def table(self, width: int) -> Tensor:
        """Zeros (states, width): one row per state, the "ended" ones included, which nothing reads or trains."""
        return torch.zeros(self.num_prompts * (self.num_prefixes + 1), width)


class CausalOutput(NamedTuple):
    logits: Tensor


class TabularPolicy(nn.Module):
    """A softmax policy with one free logit per (prompt, prefix, token): normal with standard deviation ``scale``."""

    def __init__(self, tree: TokenTree, *, scale: float = 0.0, seed: int = 0) -> None:
        super().__init__()
        self.tree = tree
        table = tree.table(tree.vocabulary)
        noise = torch.randn(table.shape, generator=generator(seed, "tabular", "policy"))
        self.table = nn.Parameter(table + scale * noise)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> CausalOutput:
        """``input_ids`` and ``attention_mask`` (B, T), padded on either side; logits (B, T, vocabulary)."""
        return CausalOutput(logits=F.embedding(self.tree.states(input_ids, attention_mask), self.table))


class TabularValue(nn.Module):
    """One free value per (prompt, prefix), starting at 0; ``blind`` has a single value for all, as a control."""

    def __init__(self, tree: TokenTree, *, blind: bool = False) -> None:
        super().__init__()
        self.tree, self.blind = tree, blind
        self.table = nn.Parameter(tree.table(1)[:1] if blind else tree.table(1))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Values (B, T): of the state after each place."""
        states = self.tree.states(input_ids, attention_mask)
        return F.embedding(torch.zeros_like(states) if self.blind else states, self.table).squeeze(-1)


class TabularSampler:
    """Draws replies from a :class:`TabularPolicy`'s table, all rows of all prompts at once (a Sampler)."""

    def __init__(self, policy: TabularPolicy, *, temperature: float = 1.0, name: str = "tabular") -> None:
        self.policy, self.temperature, self.name = policy, temperature, name

    @torch.no_grad()
    def sample(self, prompts: Sequence[Prompt], *, n: int, seed: int) -> list[Completion]:
        tree = self.policy.tree
        logp = (self.policy.table / self.temperature).log_softmax(-1)
        steps = logp.exp().cumsum(-1)
        root = torch.tensor([tree.prompt_index(prompt) for prompt in prompts]).repeat_interleave(n)
        root = root * (tree.num_prefixes + 1)
        prefix = torch.zeros_like(root)
        uniform = torch.rand((tree.length, len(root)), generator=generator(seed, "tabular", "sample"))
        tokens, logprobs = [], []
        for draw in uniform:
            state = root + prefix
            token = (steps[state, :-1] <= draw.unsqueeze(-1)).sum(-1)  # inverse CDF; the last token takes the rest
            tokens.append(token)
            logprobs.append(logp[state, token])
            ended = (token == EOS) | (prefix == tree.num_prefixes)
            prefix = torch.where(ended, tree.num_prefixes, prefix * tree.letters + token).clamp(max=tree.num_prefixes)
        return self._completions(prompts, n, torch.stack(tokens, 1).tolist(), torch.stack(logprobs, 1).tolist())

    def _completions(
        self, prompts: Sequence[Prompt], n: int, tokens: list[list[int]], logprobs: list[list[float]]
    ) -> list[Completion]:
        tree = self.policy.tree
        texts = {reply: tree.text(reply) for reply in tree.replies}
        out = []
        for i, (row, row_logprobs) in enumerate(zip(tokens, logprobs, strict=True)):
            prompt = prompts[i // n]
            complete = EOS in row
            reply = tuple(row[: row.index(EOS) + 1] if complete else row)
            out.append(
                Completion(
                    id=f"{prompt.id}#{i}",
                    prompt_id=prompt.id,
                    text=texts[reply],
                    token_ids=reply,
                    logprobs=tuple(row_logprobs[: len(reply)]),
                    policy=self.name,
                    stop_reason="eos" if complete else "length",
                )
            )
        return out


class TabularScorer:
    """Scores replies by a table ``rewards`` (P, R) (a Scorer)."""

    def __init__(self, tree: TokenTree, rewards: Tensor) -> None:
        self.tree, self.rewards = tree, rewards
        self._rows = rewards.tolist()

    def score(self, prompts: Sequence[Prompt], responses: Sequence[Response]) -> list[float]:
        """Raises KeyError for a reply that is not in the tree."""
        index = self.tree.reply_index
        return [
            self._rows[self.tree.prompt_index(prompt)][index[response.token_ids]]
            for prompt, response in zip(prompts, responses, strict=True)
        ]


@torch.no_grad()
def reply_logprobs(policy: nn.Module, tree: TokenTree, *, temperature: float = 1.0) -> Tensor:
    """The log-probability (P, R), float64 nats, of every reply to every prompt, by enumeration.

    ``policy`` is any causal language model over the tree's tokens. The exponentials of a row sum to 1.
    """
    rows = []
    for prompt in tree.prompts:
        tokens = tuple(tree.encode(prompt))
        rows += [Row(tokens=tokens + reply, prompt_length=len(tokens)) for reply in tree.replies]
    flat = sequence_logprobs(policy, make_batch(rows, tree.pad_id), temperature)
    return flat.double().view(tree.num_prompts, len(tree.replies))


def optimum(ref_logp: Tensor, rewards: Tensor, beta: float) -> Tensor:
    """The policy (P, R) that maximises E[r] - beta KL(pi || pi_ref): ``pi* ∝ pi_ref exp(r / beta)``.

    Log-odds between two replies move by exactly (r1 - r2) / beta. Source: Ziegler 2019 and Korbak 2022.
    """
    return (ref_logp + rewards.double() / beta).softmax(-1)


def expectation(probs: Tensor, statistic: Tensor) -> Tensor:
    """E[g] (P,) under ``probs`` (P, R) of a statistic ``g`` (P, R)."""
    return (probs * statistic.double()).sum(-1)


def drift(ref_logp: Tensor, rewards: Tensor, beta: float, statistic: Tensor) -> Tensor:
    """How far optimisation moves a statistic, E*[g] - E_ref[g] (P,): ``Cov_ref(g, e^{r/beta}) / E_ref[e^{r/beta}]``.

    Source: Shapira, Benade and Procaccia 2026 (arXiv 2602.01002).
    """
    return expectation(optimum(ref_logp, rewards, beta), statistic) - expectation(ref_logp.exp(), statistic)


def best_of_n(ref_logp: Tensor, rewards: Tensor, n: int) -> Tensor:
    """The distribution (P, R) of the best of ``n`` independent replies; replies that tie share by probability.

    A reward level is the best with probability P(r <= level)^n - P(r < level)^n, which its replies share in proportion
    to pi_ref.
    """
    ref, scores = ref_logp.exp(), rewards.double()
    below = (scores.unsqueeze(-1) > scores.unsqueeze(-2)).double()  # [p, y, z]: z scores lower than y
    tied = (scores.unsqueeze(-1) == scores.unsqueeze(-2)).double()
    lower, level = (below * ref.unsqueeze(-2)).sum(-1), (tied * ref.unsqueeze(-2)).sum(-1)
    return ((lower + level).pow(n) - lower.pow(n)) * ref / level


def sequence_kl(probs: Tensor, other: Tensor) -> Tensor:
    """KL(probs || other) (P,), nats, of two distributions over replies (P, R)."""
    return (torch.xlogy(probs, probs) - torch.xlogy(probs, other)).sum(-1)


def total_variation(probs: Tensor, other: Tensor) -> Tensor:
    """Half the absolute difference, summed over replies (P,): the largest difference in any event's probability."""
    return 0.5 * (probs - other).abs().sum(-1)
