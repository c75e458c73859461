"""How far a policy is from its reference: estimators from samples, and the controller of the penalty's coefficient."""

from __future__ import annotations

import torch
from torch import Tensor


def k1(logp: Tensor, ref_logp: Tensor) -> Tensor:
    """The log ratio ``log pi - log pi_ref`` (nats), element by element.

    Its mean over samples of pi is an unbiased estimate of KL(pi || pi_ref); single values may be negative. Summed over
    the tokens of a reply it is the reply's log ratio. Source: Schulman 2020, "Approximating KL divergence", k1.
    """
    return logp - ref_logp


def k3(logp: Tensor, ref_logp: Tensor) -> Tensor:
    """``(q - 1) - log q`` with ``q = pi_ref / pi`` (nats), element by element: never negative, low variance near 0.

    Its mean over samples of pi is an unbiased estimate of KL(pi || pi_ref). Per token, its sum over a sampled reply
    estimates the same sequence KL as k1's. Source: Schulman 2020, "Approximating KL divergence", k3.
    """
    log_q = ref_logp - logp
    return torch.expm1(log_q) - log_q


def adaptive_kl_coef(coef: float, *, kl: float, target: float, horizon: int, n: int) -> float:
    """The coefficient after a batch of ``n`` replies whose mean KL was ``kl`` (nats per reply).

    ``coef * (1 + clip(kl / target - 1, -0.2, 0.2) * n / horizon)``. Source: Ziegler 2019, section 2.2 (equations of
    the log-space proportional controller), in the form of the published lm-human-preferences code.
    """
    error = min(max(kl / target - 1.0, -0.2), 0.2)
    return coef * (1.0 + error * n / horizon)
