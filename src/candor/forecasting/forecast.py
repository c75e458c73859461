"""What optimising a reward will bring: by beta, by KL and by best-of-n, from samples of the policy as it is now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from candor.forecasting.arrays import FloatArray, check_beta
from candor.forecasting.best_of import best_of_pseudo_values, best_of_weights, kl_bound
from candor.forecasting.jackknife import LEVEL, Mean, Target, mean_over_prompts
from candor.forecasting.points import KL_MARGIN, Forecast, Point, Value, refusal
from candor.forecasting.samples import KL, REWARD, Samples
from candor.forecasting.tilt import Tilt

_Z2 = float(ndtri(0.5 + LEVEL / 2)) ** 2


def forecast(
    samples: Samples,
    *,
    betas: Sequence[float] = (),
    kls: Sequence[float] = (),
    best_of: Sequence[int] = (),
    target: Target = "these prompts",
) -> Forecast:
    """Returns every statistic at every beta, KL (nats) and n asked for, and in the policy as it is.

    Raises ValueError for a beta, a KL or an n that is not positive.
    """
    return Forecast(
        target=target,
        samples=samples.per_prompt,
        prompts=len(samples.prompts),
        clusters=len(set(samples.clusters)),
        reference=at_reference(samples, target),
        betas=tuple(at_beta(samples, beta, target) for beta in betas),
        kls=tuple(at_kl(samples, kl, target) for kl in kls),
        best_of=tuple(at_best_of(samples, n, target) for n in best_of),
    )


def at_reference(samples: Samples, target: Target = "these prompts") -> Point:
    """Every statistic of the policy that the samples were drawn from; its KL is 0."""
    effective = np.full(len(samples.prompts), float(samples.per_prompt))
    columns = _columns(samples, effective, target)
    values = {column.name: column.value(column.given) for column in columns}
    zero = Value(estimate=0.0, low=0.0, high=0.0, prompts=len(samples.prompts), clusters=len(set(samples.clusters)))
    return Point(by="reference", at=0.0, effective=float(samples.per_prompt), values={**values, KL: zero})


def at_beta(samples: Samples, beta: float, target: Target = "these prompts") -> Point:
    """Every statistic of pi* ∝ pi_ref e^{r/beta}. Raises ValueError unless beta is positive."""
    tilt = Tilt.of(samples.rewards, beta)
    divergence, effective = tilt.divergence(), tilt.effective
    every = np.arange(len(samples.prompts))

    def value(column: _Column, pseudo: FloatArray) -> Value:
        why = refusal(effective[column.rows], float(divergence[column.rows].mean()), samples.per_prompt)
        return column.refused(why) if why else column.value(pseudo)

    values = {c.name: value(c, tilt.statistic(c.full)[c.rows]) for c in _columns(samples, effective, target)}
    whole = _Column(KL, every, divergence, divergence, samples.cluster_index, effective, target)
    values[KL] = value(whole, divergence)
    return Point(by="beta", at=beta, beta=beta, effective=float(np.median(effective)), values=values)


def at_kl(samples: Samples, kl: float, target: Target = "these prompts") -> Point:
    """Every statistic at the beta whose mean KL is ``kl`` nats; intervals hold the error of finding that beta.

    Where a KL cannot be reached or shown, every statistic is refused. Raises ValueError unless ``kl`` is positive.
    """
    if not (np.isfinite(kl) and kl > 0):
        raise ValueError(f"a KL must be positive, not {kl:g}")
    beta, why = _beta_at(samples, kl)
    if beta is None:
        return Point(by="kl", at=kl, values=_all_refused(samples, why))
    tilt = Tilt.of(samples.rewards, beta)
    effective, divergence = tilt.effective, tilt.divergence()
    values = {}
    for column in _columns(samples, effective, target):
        rows = column.rows
        why = refusal(effective[rows], float(divergence[rows].mean()), samples.per_prompt)
        pseudo = _at_fixed_kl(samples, tilt, beta, column, divergence)
        values[column.name] = column.refused(why) if why else column.value(pseudo, samples.cluster_index)
    values[KL] = Value(estimate=kl, low=kl, high=kl, prompts=len(samples.prompts), clusters=len(set(samples.clusters)))
    return Point(by="kl", at=kl, beta=beta, effective=float(np.median(effective)), values=values)


def at_best_of(samples: Samples, n: int, target: Target = "these prompts") -> Point:
    """Every statistic of the best of n replies by the reward, unbiased, and its KL. Raises ValueError for n < 1."""
    if n < 1:
        raise ValueError(f"best of {n}: n must be 1 or more")
    m, every = samples.per_prompt, np.arange(len(samples.prompts))
    if n >= m:
        why = f"the samples cannot say: best of {n} needs more than {n} samples per prompt, there are {m}"
        return Point(by="best_of", at=n, kl_bound=kl_bound(n), values=_all_refused(samples, why))
    effective = 1 / np.sum(best_of_weights(samples.rewards, n) ** 2, axis=1)
    columns = list(_columns(samples, effective, target))
    pseudo = best_of_pseudo_values(samples.rewards, np.array([column.full for column in columns]), n)
    columns.append(_Column(KL, every, pseudo[-1], pseudo[-1], samples.cluster_index, effective, target))
    values = {}
    for column, found in zip(columns, pseudo, strict=True):
        why = refusal(effective[column.rows], 0.0, m)
        values[column.name] = column.refused(why) if why else column.value(found[column.rows])
    return Point(by="best_of", at=n, effective=float(np.median(effective)), kl_bound=kl_bound(n), values=values)


@dataclass(frozen=True)
class _Column:
    """One statistic: ``rows`` are its prompts, ``full`` its values (P, m) with 0 on the others, ``given`` its own."""

    name: str
    rows: np.ndarray
    full: FloatArray
    given: FloatArray
    clusters: np.ndarray
    effective: FloatArray
    target: Target

    def value(self, pseudo: FloatArray, clusters: np.ndarray | None = None) -> Value:
        """Returns the mean of pseudo-values (rows, m) with its interval, within what the statistic can be.

        ``clusters``: where the pseudo-values are of other prompts than ``rows``.
        """
        own = self.clusters[self.rows] if clusters is None else clusters
        mean = mean_over_prompts(pseudo, own, self.target)
        low, high = self._limits(mean)
        return Value(
            estimate=self._within(mean.value),
            low=None if low is None else self._within(low),
            high=None if high is None else self._within(high),
            prompts=len(self.rows),
            clusters=len(np.unique(self.clusters[self.rows])),
        )

    def refused(self, why: str) -> Value:
        """Returns no number, and why."""
        clusters = len(np.unique(self.clusters[self.rows]))
        return Value(estimate=None, low=None, high=None, prompts=len(self.rows), clusters=clusters, refusal=why)

    def _limits(self, mean: Mean) -> tuple[float | None, float | None]:
        """The mean's limits; where all samples say no (or yes), Wilson's, since they cannot show their own spread."""
        if mean.low is None or self.name == KL or not self._share or np.ptp(self.given) > 0:
            return mean.low, mean.high
        n = float(self.effective[self.rows].sum()) if self.target == "these prompts" else float(mean.clusters)
        reach = _Z2 / (n + _Z2)
        return (mean.value, mean.value + reach) if mean.value < 0.5 else (mean.value - reach, mean.value)

    @property
    def _share(self) -> bool:
        return bool(np.all((self.given == 0) | (self.given == 1)))

    def _within(self, number: float) -> float:
        if self.name == KL:
            return max(0.0, number)
        inside = self.name != REWARD and bool(self.given.min() >= 0 and self.given.max() <= 1)
        return min(1.0, max(0.0, number)) if inside else number


def _columns(samples: Samples, effective: FloatArray, target: Target) -> Iterator[_Column]:
    """The statistics that apply to some prompt, and the reward."""
    for name, values in {**samples.statistics, REWARD: samples.rewards}.items():
        rows = np.flatnonzero(~np.isnan(values[:, 0]))
        if len(rows):
            full = np.nan_to_num(values, nan=0.0)
            yield _Column(name, rows, full, values[rows], samples.cluster_index, effective, target)


def _all_refused(samples: Samples, why: str) -> dict[str, Value]:
    """No number for any statistic, the KL among them."""
    effective = np.full(len(samples.prompts), float(samples.per_prompt))
    refused = {c.name: c.refused(why) for c in _columns(samples, effective, "these prompts")}
    clusters = len(set(samples.clusters))
    none = Value(estimate=None, low=None, high=None, prompts=len(samples.prompts), clusters=clusters, refusal=why)
    return refused | {KL: none}


def _at_fixed_kl(samples: Samples, tilt: Tilt, beta: float, column: _Column, divergence: FloatArray) -> FloatArray:
    """Pseudo-values (P, m) of a statistic at the beta that gives a fixed KL: what moves both moves the beta too.

    To first order the estimate moves by dG - (dG/dKL) dKL, and along the tilt dG/dKL = beta Cov*(g, r) / Var*(r).
    """
    weights, rewards = tilt.weights, samples.rewards
    apart = rewards - np.sum(weights * rewards, axis=1, keepdims=True)
    spread = float(np.mean(np.sum(weights * apart**2, axis=1)))
    together = np.sum(weights * apart * column.full, axis=1)[column.rows]
    slope = beta * float(together.mean()) / spread if spread > 0 else 0.0
    pseudo = tilt.statistic(column.full)
    value = float(pseudo[column.rows].mean())
    found = np.zeros_like(pseudo)
    found[column.rows] = (pseudo[column.rows] - value) * (len(pseudo) / len(column.rows))
    return np.asarray(found - slope * (divergence - divergence.mean()) + value, dtype=np.float64)


def _beta_at(samples: Samples, kl: float) -> tuple[float | None, str]:
    """The beta whose corrected mean KL is ``kl``, or None and why there is none."""
    m, most = samples.per_prompt, float(np.log(samples.per_prompt) - KL_MARGIN)
    if kl > most:
        return None, f"the samples cannot say: a KL of {kl:.2f} nats is more than {m} samples can show ({most:.2f})"
    scale = float(samples.rewards.std(axis=1).mean())
    if scale == 0:
        return None, "all replies to a prompt score alike: optimising this reward moves nothing"

    def reached(beta: float) -> float:
        return float(Tilt.of(samples.rewards, check_beta(beta)).divergence().mean())

    high = scale
    while reached(high) > kl:
        high *= 2
    low = high / 2
    for _ in range(40):
        if reached(low) >= kl:
            break
        high, low = low, low / 2
    else:
        return None, f"the samples cannot say: no beta brings a KL of {kl:.2f} nats on their replies"
    for _ in range(40):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if reached(middle) >= kl else (low, middle)
    return float(np.sqrt(low * high)), ""
