"""Variances of coefficients whose observations are not independent: clustered one or two ways, for few clusters too.

One way: CR2 (Bell & McCaffrey 2002; Pustejovsky & Tipton 2018, J. Bus. Econ. Stat. 36:672) with Satterthwaite degrees
of freedom, under the working model of independent errors, which makes CR2 unbiased where it holds. Two ways: the sum of
both less that of their intersection (Cameron, Gelbach & Miller 2011, J. Bus. Econ. Stat. 29:238, eq. 2.11), and never
less than the larger of the two (Davezies, D'Haultfoeuille & Guyonvarch 2025; MacKinnon, Nielsen & Webb 2024, arXiv
2406.08880), as the difference can come out too small or negative.

Everything happens in coordinates in which the information matrix is the identity: with R = W^(1/2) X M^(1/2) and M the
inverse information, a cluster's hat matrix is R_g R_g', and (I - R_g R_g')^(-1/2) acts on the cluster's score through
the P by P matrix S_g = R_g' R_g alone. So a cluster of a million rows costs no more than its rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_SMALL = 0.02
"""Leverage (trace of S_g) below which (I - S)^(-1/2) is taken as I + S / 2: off by less than 3/8 of its square."""

_ALL = 1.0 - 1e-8
"""An eigenvalue of S_g above this: a direction that only this cluster tells of. It is left out (a pseudo-inverse)."""

_SOLE = 0.98
"""Share of a coefficient's information in one cluster from which no variance between clusters can be seen."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterVariance:
    """Variance of M contrasts clustered one way, (M,), with degrees of freedom (M,) and the number of clusters.

    NaN where (nearly) all that is known of a contrast comes from one cluster.
    """

    variance: FloatArray
    df: FloatArray
    clusters: int


def cluster_variance(
    rows: FloatArray, residuals: FloatArray, codes: IntArray, contrasts: FloatArray
) -> ClusterVariance:
    """Returns the CR2 variance and Satterthwaite degrees of freedom of contrasts.

    ``rows`` (N, P): the whitened design R; ``residuals`` (N,): divided by their standard deviation under the model;
    ``codes`` (N,): each row's cluster, 0, 1, ...; ``contrasts`` (M, P): in whitened coordinates, M^(1/2) c.
    Degrees of freedom: tr(Q)^2 / tr(Q^2) (Bell & McCaffrey 2002, sec. 4), the part of clusters with small leverage to
    first order.
    """
    order, starts = _by_cluster(codes)
    clusters = len(starts)
    if order is not None:
        rows, residuals = rows[order], residuals[order]
    scores = np.add.reduceat(rows * residuals[:, None], starts)
    leverage = np.add.reduceat(np.einsum("ij,ij->i", rows, rows), starts)
    squares = np.add.reduceat((rows @ contrasts.T) ** 2, starts)  # c' S_g c, (C, M)
    size = np.diff(starts, append=len(rows))
    total = squares.sum(axis=0)
    large = np.flatnonzero(leverage > _SMALL)

    small = np.ones(clusters, dtype=bool)
    small[large] = False
    along = np.einsum("ij,ij->i", rows, np.repeat(scores, size, axis=0))
    scores = scores + np.where(small[:, None], 0.5 * np.add.reduceat(rows * along[:, None], starts), 0.0)
    diagonal = squares[small]
    spread = np.sum(diagonal**2, axis=0)
    crossed = np.zeros((len(contrasts), rows.shape[1], rows.shape[1]))
    for g in large:
        part = rows[starts[g] : starts[g] + size[g]]
        values, vectors = np.linalg.eigh(part.T @ part)
        inverse = np.where(values < _ALL, 1.0 / np.sqrt(np.maximum(1.0 - values, 1e-300)), 0.0)
        scores[g] = vectors @ (inverse * (vectors.T @ scores[g]))
        turned = contrasts @ vectors  # (M, P)
        own = np.sum(turned**2 * (values * inverse**2), axis=1)
        passed = (turned * (values * inverse)) @ vectors.T
        spread += own**2 - 2 * own * np.sum(passed**2, axis=1)
        crossed += np.einsum("mi,mj->mij", passed, passed)
    spread += np.sum(crossed**2, axis=(1, 2))
    variance = np.sum((scores @ contrasts.T) ** 2, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = total**2 / spread
        alone = squares.max(axis=0) > _SOLE * total
    missing = alone | (clusters < 2)
    return ClusterVariance(
        variance=np.where(missing, np.nan, variance), df=np.where(missing, np.nan, df), clusters=clusters
    )


def two_way(first: ClusterVariance, second: ClusterVariance, both: ClusterVariance) -> ClusterVariance:
    """Returns the two-way variance: ``both`` is clustered by the intersections of the clusters of the other two.

    Its degrees of freedom are Satterthwaite's of the sum, with the two one-way parts as independent: V^2 /
    (V_1^2 / df_1 + V_2^2 / df_2); with V close to V_1 and V_2 small they are close to df_1.
    """
    floor = np.fmax(first.variance, second.variance)
    variance = np.fmax(first.variance + second.variance - both.variance, floor)
    parts = np.nan_to_num(first.variance**2 / first.df) + np.nan_to_num(second.variance**2 / second.df)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.where(parts > 0, variance**2 / parts, np.nan)
    known = np.isfinite(first.variance) & np.isfinite(second.variance)
    return ClusterVariance(
        variance=np.where(known, variance, np.nan),
        df=np.where(known, df, np.nan),
        clusters=min(first.clusters, second.clusters),
    )


def compact_codes(codes: Sequence[int] | IntArray) -> IntArray:
    """Returns cluster labels (N,) as 0, 1, ... in the order of the labels."""
    return np.unique(np.asarray(codes), return_inverse=True)[1].astype(np.int64).ravel()


def intersection(first: IntArray, second: IntArray) -> IntArray:
    """Returns the codes (N,) of the clusters that two clusterings (codes from 0) make together."""
    return compact_codes(first * (int(second.max(initial=0)) + 1) + second)


def _by_cluster(codes: IntArray) -> tuple[IntArray | None, IntArray]:
    """The order that brings clusters together (None where they are), and where each starts in it."""
    steps = np.diff(codes)
    order = None
    if np.any(steps < 0):
        order = np.argsort(codes, kind="stable")
        steps = np.diff(codes[order])
    return order, np.concatenate([[0], np.flatnonzero(steps) + 1])
