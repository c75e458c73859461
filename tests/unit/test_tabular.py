"""The token tree's closed forms against brute force, and its modules against a by-hand reading of their tables."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest
import torch
from torch import Tensor

from candor.ops.batches import Row, make_batch
from candor.ops.logprobs import sequence_logprobs
from candor.ops.randomness import generator
from candor.testbeds.tabular import (
    EOS,
    TabularPolicy,
    TabularSampler,
    TabularScorer,
    TabularValue,
    TokenTree,
    best_of_n,
    drift,
    expectation,
    optimum,
    reply_logprobs,
    sequence_kl,
    total_variation,
)

TREE = TokenTree(num_prompts=3)
POLICY = TabularPolicy(TREE, scale=1.0, seed=3)
LOGP = reply_logprobs(POLICY, TREE)


def table(seed: int, decimals: int | None = None) -> Tensor:
    numbers = torch.randn((3, len(TREE.replies)), generator=generator(seed, "table"), dtype=torch.float64)
    return numbers if decimals is None else numbers.round(decimals=decimals)


def by_hand(prompt: int, reply: tuple[int, ...], temperature: float = 1.0) -> float:
    """Walks the reply through the policy's table; prefixes are numbered breadth first."""
    prefixes = [path for depth in range(3) for path in itertools.product((1, 2, 3), repeat=depth)]
    total = 0.0
    for place, token in enumerate(reply):
        row = prompt * (len(prefixes) + 1) + prefixes.index(reply[:place])
        logits = [x / temperature for x in POLICY.table[row].tolist()]
        total += logits[token] - math.log(sum(math.exp(x) for x in logits))
    return total


def test_replies_are_the_whole_tree() -> None:
    assert len(TREE.replies) == len(set(TREE.replies)) == 1 + 3 + 9 + 27
    assert int(TREE.complete.sum()) == 13
    torch.testing.assert_close(LOGP.exp().sum(1), torch.ones(3, dtype=torch.float64), rtol=0, atol=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_logprobs_are_those_of_the_table(temperature: float) -> None:
    got = reply_logprobs(POLICY, TREE, temperature=temperature)
    expected = [[by_hand(p, reply, temperature) for reply in TREE.replies] for p in range(3)]
    torch.testing.assert_close(got, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-5)


def test_padding_changes_nothing() -> None:
    rows = [Row(tokens=(*TREE.encode(p), *reply), prompt_length=len(TREE.encode(p)))
            for p in TREE.prompts for reply in TREE.replies[::5]]  # fmt: skip
    value = TabularValue(TREE)
    with torch.no_grad():
        value.table.copy_(torch.randn(value.table.shape, generator=generator(0)))
    left, right = (make_batch(rows, TREE.pad_id, side) for side in ("left", "right"))
    torch.testing.assert_close(sequence_logprobs(POLICY, left), sequence_logprobs(POLICY, right))
    values = [value(b.input_ids, b.attention_mask)[b.attention_mask.bool()] for b in (left, right)]
    torch.testing.assert_close(values[0], values[1])
    # Control: a model that ignored the mask would read the padding as an ended reply.
    blind = POLICY(left.input_ids, torch.ones_like(left.attention_mask)).logits
    assert not torch.allclose(blind, POLICY(left.input_ids, left.attention_mask).logits)


def test_values_are_told_apart_by_state_unless_blind() -> None:
    ids = torch.tensor([[*TREE.encode(TREE.prompts[0]), 1, 2, EOS]])
    states = TREE.states(ids, torch.ones_like(ids))
    assert len(set(states.flatten().tolist())) == 4
    blind = TabularValue(TREE, blind=True)
    assert blind.table.shape == (1, 1)
    assert blind(ids, torch.ones_like(ids)).shape == ids.shape


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_sampler_draws_from_the_enumerated_distribution(temperature: float) -> None:
    sampler = TabularSampler(POLICY, temperature=temperature)
    drawn = sampler.sample(TREE.prompts, n=20_000, seed=1)
    exact = reply_logprobs(POLICY, TREE, temperature=temperature)
    counts = Counter((c.prompt_id, c.token_ids) for c in drawn)
    shares = torch.tensor([[counts[p.id, reply] / 20_000 for reply in TREE.replies] for p in TREE.prompts])
    assert total_variation(shares.double(), exact.exp()).max() < 0.02  # expected: about sqrt(R / (2 pi n)) = .018
    chi2 = (20_000 * (shares - exact.exp()).square() / exact.exp()).sum(1)
    assert (chi2 < 39 + 4 * math.sqrt(2 * 39)).all()
    # Control: the other temperature's distribution is far.
    other = reply_logprobs(POLICY, TREE, temperature=1.5 - temperature).exp()
    assert total_variation(shares.double(), other).min() > 0.1
    index = TREE.reply_index
    for c in drawn[:: 20_000 // 4]:
        p = int(c.prompt_id[-1])
        assert sum(c.logprobs) == pytest.approx(float(exact[p, index[c.token_ids]]), abs=1e-5)
        assert (c.stop_reason == "eos") == (c.token_ids[-1] == EOS)


def test_sampler_is_a_function_of_its_seed() -> None:
    sampler = TabularSampler(POLICY)
    once = sampler.sample(TREE.prompts, n=5, seed=7)
    assert once == sampler.sample(TREE.prompts, n=5, seed=7)
    assert once != sampler.sample(TREE.prompts, n=5, seed=8)
    assert [c.prompt_id for c in once] == [p.id for p in TREE.prompts for _ in range(5)]


def test_scorer_reads_the_table() -> None:
    rewards = table(0)
    drawn = TabularSampler(POLICY).sample(TREE.prompts, n=2, seed=0)
    prompts = [p for p in TREE.prompts for _ in range(2)]
    expected = [float(rewards[i // 2, TREE.replies.index(c.token_ids)]) for i, c in enumerate(drawn)]
    assert TabularScorer(TREE, rewards).score(prompts, drawn) == expected


@pytest.mark.parametrize("beta", [0.1, 0.3, 1.0])
def test_optimum_maximises_the_regularised_objective(beta: float) -> None:
    rewards = table(1)
    star = optimum(LOGP, rewards, beta)

    def objective(probs: Tensor) -> Tensor:
        return expectation(probs, rewards) - beta * sequence_kl(probs, LOGP.exp())

    # Its value is the log-partition function ...
    torch.testing.assert_close(objective(star), beta * (LOGP + rewards / beta).logsumexp(-1), rtol=0, atol=1e-6)
    # ... which no other distribution reaches ...
    for seed in range(20):
        other = (star.log() + 0.1 * table(100 + seed)).softmax(-1)
        assert (objective(other) < objective(star)).all()
    # ... and log-odds have moved by the difference in reward over beta.
    moved = (star.log() - LOGP)[:, 5] - (star.log() - LOGP)[:, 17]
    torch.testing.assert_close(moved, (rewards[:, 5] - rewards[:, 17]) / beta, rtol=0, atol=1e-6)


def test_drift_is_the_covariance_formula() -> None:
    rewards, beta = table(1), 0.4
    agrees = (table(2) > 0).double()
    ref, tilt = LOGP.exp(), (rewards / beta).exp()
    covariance = expectation(ref, agrees * tilt) - expectation(ref, agrees) * expectation(ref, tilt)
    expected = covariance / expectation(ref, tilt)
    torch.testing.assert_close(drift(LOGP, rewards, beta, agrees), expected, rtol=0, atol=1e-6)
    assert (drift(LOGP, torch.zeros_like(rewards), beta, agrees).abs() < 1e-6).all()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_best_of_n_is_brute_force(n: int) -> None:
    """Over all n-tuples of replies, one of the best taken at random; rewards rounded so that many tie."""
    tree = TokenTree(num_prompts=3, vocabulary=3, length=2)
    logp = reply_logprobs(TabularPolicy(tree, scale=1.0, seed=5), tree)
    rewards = torch.randn((3, 7), generator=generator(9), dtype=torch.float64).round(decimals=0)
    assert len(set(rewards[0].tolist())) < 7
    expected = torch.zeros(3, 7, dtype=torch.float64)
    for p in range(3):
        for draw in itertools.product(range(7), repeat=n):
            best = [y for y in draw if rewards[p, y] == max(float(rewards[p, z]) for z in draw)]
            for y in best:
                expected[p, y] += math.exp(sum(float(logp[p, z]) for z in draw)) / len(best)
    torch.testing.assert_close(best_of_n(logp, rewards, n), expected, rtol=0, atol=1e-6)


def test_best_of_n_keeps_within_its_kl_bound() -> None:
    rewards = table(1)
    for n in (2, 4, 16):
        kl = sequence_kl(best_of_n(LOGP, rewards, n), LOGP.exp())
        assert (kl <= math.log(n) - (n - 1) / n + 1e-6).all()
        assert (kl > 0).all()


def test_distances() -> None:
    p, q = torch.tensor([[0.5, 0.5, 0.0]]).double(), torch.tensor([[0.25, 0.5, 0.25]]).double()
    assert total_variation(p, q).item() == 0.25
    assert sequence_kl(p, q).item() == pytest.approx(0.5 * math.log(2))
    assert sequence_kl(q, p).item() == math.inf
