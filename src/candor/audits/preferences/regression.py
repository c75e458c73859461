"""Logistic regression of judgements on what differs between two responses, with errors clustered one or two ways.

The estimand is the population-average coefficient: what the same model would find in very many judgements of the same
kind by very many annotators. It is smaller than a typical annotator's own coefficient where annotators differ or do not
always attend (Zeger, Liang & Albert 1988, Biometrics 44:1049). The estimating equations are those of independence
(Liang & Zeger 1986); what is not independent goes into the standard errors (:mod:`.clustered`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from candor.audits.preferences.clustered import (
    ClusterVariance,
    FloatArray,
    IntArray,
    cluster_variance,
    compact_codes,
    intersection,
    two_way,
)

LEVEL = 0.95
POWER = 0.9
ROWS_PER_COLUMN = 10.0
"""With fewer judged pairs per coefficient the fit is penalised (Firth): maximum likelihood is biased away from 0."""

_ITERATIONS = 30
_TOLERANCE = 1e-8
_ALIASED = 1e-8
_RIDGE = 1.0 / 2.5**2
"""Penalty where even Firth's fit fails: a normal prior of standard deviation 2.5 on each coefficient per SD."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Regression:
    """A clustered logistic regression of N pairs on P columns, and M contrasts of its coefficients.

    ``coef`` (P,) with 0 for the columns that ``aliased`` (P,) marks as sums of others or as constantly 0. Of each
    contrast, (M,): ``estimates``, ``errors`` (standard), ``df`` (degrees of freedom); NaN where an aliased column is
    in it or where one cluster holds all that is known. ``naive``: standard errors as if pairs were independent.
    ``penalised``: why the fit is penalised (``separated`` or ``few pairs``; with ``, ridge`` where Firth's fit failed),
    or "". ``clusters``: the number of clusters of each clustering.
    """

    coef: FloatArray
    aliased: NDArray[np.bool_]
    estimates: FloatArray
    errors: FloatArray
    df: FloatArray
    naive: FloatArray
    n: int
    clusters: tuple[int, ...]
    penalised: str = ""

    @property
    def p_values(self) -> FloatArray:
        """Two-sided p-values of contrasts equal to 0 (M,), by Student's t; NaN where there is no standard error.

        An estimate of 0 without any error, as of pairs that were all shown both ways, has the p-value 1.
        """
        from scipy.special import stdtr

        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where((self.estimates == 0) & (self.errors == 0), 0.0, np.abs(self.estimates / self.errors))
        return 2.0 * np.asarray(stdtr(self.df, -t), dtype=float)

    def intervals(self, level: float = LEVEL) -> FloatArray:
        """Returns lower and upper limits of the contrasts, (M, 2)."""
        half = t_quantile(0.5 + level / 2, self.df) * self.errors
        return np.column_stack([self.estimates - half, self.estimates + half])

    def detectable(self, power: float = POWER, alpha: float = 1 - LEVEL) -> FloatArray:
        """Returns the coefficient (M,) that would be found with this power at this level, given the achieved error.

        (t_(1 - alpha / 2) + t_power) times the standard error (Bloom 1995, Eval. Rev. 19:547).
        """
        return (t_quantile(1 - alpha / 2, self.df) + t_quantile(power, self.df)) * self.errors


def clustered_logit(
    design: FloatArray,
    outcome: FloatArray,
    clusterings: Sequence[IntArray],
    *,
    weight: FloatArray | None = None,
    contrasts: FloatArray | None = None,
) -> Regression:
    """Returns the regression of ``outcome`` (N,), from 0 to 1, on ``design`` (N, P).

    An outcome of 0.5 (a tie) is half a preference each way: the quasi-binomial likelihood, whose variance is the
    sandwich's affair. ``clusterings``: one or two arrays (N,) of cluster labels. ``weight`` (N,): 1 unless given.
    ``contrasts`` (M, P): the coefficients themselves unless given. Separated outcomes, or fewer than 10 pairs per
    column, are fitted with Firth's penalty; standard errors are then at least the model's. Columns that earlier ones
    make up are left out. Raises ValueError for arrays that do not fit together or a number of clusterings but 1 or 2.
    """
    design, outcome = np.asarray(design, float), np.asarray(outcome, float)
    count, columns = design.shape
    weight = np.ones(count) if weight is None else np.asarray(weight, float)
    if len(outcome) != count or len(weight) != count or any(len(codes) != count for codes in clusterings):
        raise ValueError("design, outcome, weight and clusterings need one length")
    if not 1 <= len(clusterings) <= 2:
        raise ValueError(f"one or two clusterings, not {len(clusterings)}")
    contrasts = np.eye(columns) if contrasts is None else np.asarray(contrasts, float)
    scale = np.sqrt(np.mean(design**2, axis=0)) if count else np.zeros(columns)
    kept = _independent(design, np.where(scale > 0, scale, 1.0))
    coef = np.zeros(columns)
    if not kept.any():
        none = np.full(len(contrasts), np.nan)
        sizes = tuple(len(np.unique(codes)) for codes in clusterings)
        return Regression(
            coef=coef, aliased=~kept, estimates=none, errors=none, df=none, naive=none, n=count, clusters=sizes
        )
    scaled = design[:, kept] / scale[kept]
    fitted = _fit(scaled, outcome, weight)
    coef[kept] = fitted.coef / scale[kept]
    lost = np.any(contrasts[:, ~kept] != 0, axis=1)
    white, root = _whitened(scaled, fitted.probability, weight)
    turned = (contrasts[:, kept] / scale[kept]) @ root
    residuals = _residuals(outcome, fitted.probability, weight)
    parts = _variances(white, residuals, [compact_codes(codes) for codes in clusterings], turned)
    naive = np.sum(turned**2, axis=1)
    variance = np.fmax(parts[-1].variance, naive) if fitted.penalised else parts[-1].variance
    variance = np.where(np.isfinite(parts[-1].variance), variance, np.nan)
    gone = np.where(lost, np.nan, 1.0)
    return Regression(
        coef=coef,
        aliased=~kept,
        estimates=contrasts @ coef * gone,
        errors=np.sqrt(variance) * gone,
        df=parts[-1].df * gone,
        naive=np.sqrt(naive) * gone,
        n=count,
        clusters=tuple(part.clusters for part in parts[: len(clusterings)]),
        penalised=fitted.penalised,
    )


def benjamini_hochberg(
    p_values: Sequence[float] | FloatArray, weights: Sequence[float] | FloatArray | None = None
) -> FloatArray:
    """Returns p-values adjusted for the false-discovery rate, in the order given; NaN stays and counts for nothing.

    Benjamini & Hochberg 1995, J. R. Stat. Soc. B 57:289 (step-up). ``weights`` say beforehand which hypotheses matter
    more; they are scaled to average 1, which keeps the rate (Genovese, Roeder & Wasserman 2006, Biometrika 93:509). No
    adjusted value is below the p-value itself.
    """
    raw = np.asarray(p_values, float)
    known = np.flatnonzero(np.isfinite(raw))
    scale = np.ones(len(raw)) if weights is None else np.asarray(weights, float)
    p = raw * scale[known].mean() / scale if len(known) else raw
    adjusted = np.full(len(p), np.nan)
    order = known[np.argsort(-p[known], kind="stable")]  # the largest first
    count = len(order)
    stepped = np.minimum.accumulate(p[order] * count / np.arange(count, 0, -1))
    adjusted[order] = np.minimum(stepped, 1.0)
    return np.fmax(adjusted, raw)


def t_quantile(probability: float, df: FloatArray) -> FloatArray:
    """Returns Student's quantiles (M,) for degrees of freedom (M,); NaN where those are."""
    from scipy.special import stdtrit

    return np.asarray(stdtrit(df, probability), dtype=float)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Fit:
    coef: FloatArray
    probability: FloatArray
    penalised: str


def _independent(design: FloatArray, scale: FloatArray) -> NDArray[np.bool_]:
    """Which columns are not (nearly) a sum of those before them: a Cholesky that skips what is left with nothing."""
    gram = (design.T @ design) / np.outer(scale, scale) / max(len(design), 1)
    kept: list[int] = []
    for column in range(design.shape[1]):
        if gram[column, column] <= 0:
            continue
        left = gram[column, column]
        if kept:
            left -= gram[column, kept] @ np.linalg.solve(gram[np.ix_(kept, kept)], gram[kept, column])
        if left > _ALIASED:
            kept.append(column)
    mask = np.zeros(design.shape[1], dtype=bool)
    mask[kept] = True
    return mask


def _fit(design: FloatArray, outcome: FloatArray, weight: FloatArray) -> _Fit:
    """Maximum likelihood; Firth's where it has no maximum or there are few rows; a ridge where that fails as well."""
    why = "few pairs"
    if len(design) >= ROWS_PER_COLUMN * design.shape[1]:
        coef = _newton(design, outcome, weight)
        if coef is not None:
            return _Fit(coef=coef, probability=_expit(design @ coef), penalised="")
        why = "separated"
    from candor.audits.firth import firth_logistic  # brings scipy.stats, which is slow to import

    coef = firth_logistic(design, weight * outcome, weight).coef
    if not np.all(np.isfinite(coef)):
        ridge = _newton(design, outcome, weight, ridge=_RIDGE)
        coef, why = (np.zeros(design.shape[1]) if ridge is None else ridge), f"{why}, ridge"
    return _Fit(coef=coef, probability=_expit(design @ coef), penalised=why)


def _newton(design: FloatArray, outcome: FloatArray, weight: FloatArray, ridge: float = 0.0) -> FloatArray | None:
    """The maximum, or None where steps do not become small: under separation they stay near 1 for ever."""
    coef = np.zeros(design.shape[1])
    value, eta = _log_likelihood(design, outcome, weight, coef, ridge)
    for _ in range(_ITERATIONS):
        probability = _expit(eta)
        score = design.T @ (weight * (outcome - probability)) - ridge * coef
        curvature = weight * probability * (1 - probability)
        try:
            information = design.T @ (design * curvature[:, None]) + ridge * np.eye(len(coef))
            step = np.linalg.solve(information, score)
        except np.linalg.LinAlgError:
            return None
        for _ in range(10):
            proposed, eta = _log_likelihood(design, outcome, weight, coef + step, ridge)
            if proposed >= value - 1e-9 * abs(value):
                break
            step = step / 2
        coef, value = coef + step, proposed
        if np.abs(step).max() < _TOLERANCE:
            return coef
    return None


def _log_likelihood(
    design: FloatArray, outcome: FloatArray, weight: FloatArray, coef: FloatArray, ridge: float
) -> tuple[float, FloatArray]:
    eta = design @ coef
    value = np.sum(weight * (outcome * eta - np.logaddexp(0.0, eta))) - ridge * np.sum(coef**2) / 2
    return float(value), eta


def _expit(eta: FloatArray) -> FloatArray:
    from scipy.special import expit

    return np.asarray(expit(eta), dtype=float)


def _whitened(design: FloatArray, probability: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """W^(1/2) X M^(1/2) and M^(1/2), with M the inverse of the information X' W X."""
    curvature = weight * probability * (1 - probability)
    information = design.T @ (design * curvature[:, None])
    values, vectors = np.linalg.eigh(information)
    root = (vectors / np.sqrt(np.maximum(values, 1e-300))) @ vectors.T
    return (design * np.sqrt(curvature)[:, None]) @ root, root


def _residuals(outcome: FloatArray, probability: FloatArray, weight: FloatArray) -> FloatArray:
    spread = np.sqrt(np.maximum(probability * (1 - probability), 1e-300))
    return np.sqrt(weight) * (outcome - probability) / spread


def _variances(
    white: FloatArray, residuals: FloatArray, codes: list[IntArray], contrasts: FloatArray
) -> list[ClusterVariance]:
    """The variance by each clustering, and last the one to use."""
    parts = [cluster_variance(white, residuals, code, contrasts) for code in codes]
    if len(parts) == 1:
        return [*parts, parts[0]]
    both = cluster_variance(white, residuals, intersection(*codes), contrasts)
    return [*parts, two_way(parts[0], parts[1], both)]
