"""KL estimators against the closed form on the token tree, by exact expectation; the controller against Ziegler's."""

from __future__ import annotations

import pytest
import torch

from candor.ops.batches import Row, make_batch
from candor.ops.kl import adaptive_kl_coef, k1, k3
from candor.ops.logprobs import token_logprobs
from candor.testbeds.tabular import TabularPolicy, TokenTree, reply_logprobs, sequence_kl

TREE = TokenTree()
POLICY, REFERENCE = (TabularPolicy(TREE, scale=1.0, seed=seed) for seed in (1, 2))


def expected_sums() -> dict[str, torch.Tensor]:
    """E over replies of the policy of the per-token sums of k1 and k3, (P,), by enumeration."""
    rows = [
        Row(tokens=(*TREE.encode(prompt), *reply), prompt_length=len(TREE.encode(prompt)))
        for prompt in TREE.prompts
        for reply in TREE.replies
    ]
    batch = make_batch(rows, TREE.pad_id)
    with torch.no_grad():
        logp = token_logprobs(POLICY, batch).logprobs.double()
        ref_logp = token_logprobs(REFERENCE, batch).logprobs.double()
    probs = reply_logprobs(POLICY, TREE).exp()
    shape = probs.shape
    return {
        "k1": (probs * k1(logp, ref_logp).sum(1).view(shape)).sum(1),
        "k3": (probs * k3(logp, ref_logp).sum(1).view(shape)).sum(1),
        "k1 swapped": (probs * k1(ref_logp, logp).sum(1).view(shape)).sum(1),
        "k3 swapped": (probs * k3(ref_logp, logp).sum(1).view(shape)).sum(1),
    }


def test_estimators_have_the_sequence_kl_as_their_mean() -> None:
    exact = sequence_kl(reply_logprobs(POLICY, TREE).exp(), reply_logprobs(REFERENCE, TREE).exp())
    means = expected_sums()
    torch.testing.assert_close(means["k1"], exact, rtol=0, atol=1e-5)
    torch.testing.assert_close(means["k3"], exact, rtol=0, atol=1e-5)
    # Control: with the arguments swapped both miss it by far.
    for name in ("k1 swapped", "k3 swapped"):
        assert ((means[name] - exact).abs() > 0.1).all()


def test_k3_is_never_negative_where_k1_is() -> None:
    logp, ref_logp = torch.tensor([-1.0, -2.0, -3.0]), torch.tensor([-0.5, -2.0, -4.0])
    assert k1(logp, ref_logp).tolist() == [-0.5, 0.0, 1.0]
    expected = [2.718281828**0.5 - 1.0 - 0.5, 0.0, 2.718281828**-1.0 - 1.0 + 1.0]
    assert k3(logp, ref_logp).tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("kl", "expected"),
    [
        (6.6, 0.1 * (1 + 0.1 * 128 / 10_000)),  # 10% above the target
        (12.0, 0.1 * (1 + 0.2 * 128 / 10_000)),  # clipped at +0.2
        (0.0, 0.1 * (1 - 0.2 * 128 / 10_000)),  # clipped at -0.2
        (6.0, 0.1),
    ],
)
def test_adaptive_coefficient_is_zieglers(kl: float, expected: float) -> None:
    assert adaptive_kl_coef(0.1, kl=kl, target=6.0, horizon=10_000, n=128) == pytest.approx(expected, rel=1e-12)


def test_controller_steers_to_its_target() -> None:
    """A plant whose KL falls with the coefficient, as KL = 1 / coef, settles at the target from either side."""
    for start in (0.01, 2.0):
        coef = start
        for _ in range(1500):
            coef = adaptive_kl_coef(coef, kl=1 / coef, target=6.0, horizon=10_000, n=512)
        assert 1 / coef == pytest.approx(6.0, rel=0.01)
