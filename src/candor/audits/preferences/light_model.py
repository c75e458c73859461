"""A light model of which response is preferred, from words and style, and what it says on prompts that it did not see.

Bradley-Terry with linear utilities: P(first preferred) = sigmoid(w . (x_first - x_second)), ridge-penalised, where x
holds hashed words (whether each occurs, scaled to length 1) and standardised numbers: log length, and the style
features of the survey where it has some. It stands for what simple patterns can tell, at the price of seconds: it finds
labels that contradict them, and shows how fast they are learnt. It is no reward model.

Folds are by prompt. Everything runs on at most ``LIMIT`` judged pairs of the survey's sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from candor.audits.preferences.rates import Rate, clustered_mean
from candor.audits.preferences.survey import Survey

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LIMIT = 20_000
FOLDS = 5
SHARES = (0.125, 0.25, 0.5, 1.0)
"""Parts of the training prompts of a fold, each within the next."""

FEWEST = 200
"""With fewer judged pairs nothing is fitted."""

_COLUMNS = 2**16
_CHARACTERS = 2000  # of each response are read
_SPREAD = 0.3  # of a standardised number, so that the ridge does not favour words over them
_STRENGTHS = (0.1, 1.0, 10.0)  # inverse ridge penalties that are tried
_EPOCHS = 8


@dataclass(frozen=True, kw_only=True)
class Design:
    """N judged pairs: ``differences`` (N, D) sparse, first minus second; ``first_wins`` (N,).

    ``prompts`` (N,) are small numbers, ``comparison`` (N,) numbers of the survey, ``folds`` (N,) the fold in which a
    pair is held out, ``ranks`` (N,) in [0, 1): the order in which prompts join a growing training set. ``total``:
    judged pairs of the file.
    """

    differences: Any
    first_wins: NDArray[np.bool_]
    prompts: IntArray
    comparison: IntArray
    folds: IntArray
    ranks: FloatArray
    total: int
    seed: int

    def __len__(self) -> int:
        return len(self.first_wins)

    @cached_property
    def curve(self) -> FloatArray:
        """Out-of-fold utility differences, first minus second, by share of the training prompts: (N, shares)."""
        return out_of_fold(self)

    @property
    def margins(self) -> FloatArray:
        """Out-of-fold utility differences, chosen minus rejected, with all training prompts, (N,)."""
        return np.where(self.first_wins, self.curve[:, -1], -self.curve[:, -1])

    @property
    def accuracy(self) -> Rate:
        """The share of held-out pairs that the model orders as they were judged, with its interval over prompts."""
        return clustered_mean(hits(self.margins), self.prompts)


def design(survey: Survey, *, groups: IntArray | None = None, limit: int = LIMIT) -> Design:
    """Returns the judged pairs of the survey's sample as a design, in an order that is not that of the file.

    ``groups`` (C,): what takes the prompts' place in folds and intervals, such as groups of near-duplicates.
    """
    judgements, pairs = survey.judgements, survey.judgements.pairs
    decided = pairs.outcome != 0.5
    in_sample = np.zeros(len(judgements), dtype=bool)
    in_sample[np.fromiter(survey.sample, np.int64, len(survey.sample))] = True
    rows = np.flatnonzero(decided & in_sample[pairs.comparison])
    # Folds, samples and gradient descent go by place: an order of content makes them the same however rows are sorted.
    keys = (pairs.ordered, pairs.outcome, pairs.flipped, judgements.annotators[pairs.comparison], pairs.unit)
    rows = rows[np.lexsort([key[rows] for key in keys])]
    if len(rows) > limit:
        order = np.random.default_rng([survey.seed, 1]).permutation(len(rows))
        rows = rows[np.sort(order[:limit])]
    group_of = judgements.prompts if groups is None else _lowest_prompt(judgements.prompts, groups)
    prompts = np.unique(group_of[pairs.comparison[rows]], return_inverse=True)[1].astype(np.int64)
    places = np.random.default_rng([survey.seed, 2]).permutation(int(prompts.max(initial=-1)) + 1)
    folds, ranks = places % FOLDS, (places // FOLDS * FOLDS) / max(len(places), 1)
    return Design(
        differences=_differences(survey, rows),
        first_wins=pairs.outcome[rows] == 1.0,
        prompts=prompts,
        comparison=pairs.comparison[rows],
        folds=folds[prompts],
        ranks=ranks[prompts],
        total=int(decided.sum()),
        seed=survey.seed,
    )


def _lowest_prompt(prompts: IntArray, groups: IntArray) -> IntArray:
    """The lowest hash among the prompts of each comparison's group, (C,): groups are numbered as they appeared."""
    if not len(groups):
        return groups
    lowest = np.full(int(groups.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(lowest, groups, prompts)
    return lowest[groups]


def _differences(survey: Survey, rows: IntArray) -> Any:
    from scipy.sparse import csr_matrix, hstack
    from sklearn.feature_extraction.text import HashingVectorizer

    judgements, pairs = survey.judgements, survey.judgements.pairs
    used, where = np.unique(np.concatenate([pairs.first[rows], pairs.second[rows]]), return_inverse=True)
    of = judgements.comparison_of[used]
    texts = [
        survey.sample[c].responses[r - judgements.starts[c]].text[:_CHARACTERS]
        for c, r in zip(of.tolist(), used.tolist(), strict=True)
    ]
    words = HashingVectorizer(n_features=_COLUMNS, binary=True, norm="l2", alternate_sign=False, dtype=np.float32)
    hashed = words.transform(texts) if texts else csr_matrix((0, _COLUMNS), dtype=np.float32)
    hashed = hashed[:, np.unique(hashed.indices)]  # a fit takes time for columns that are always 0, too
    first, second = where[: len(rows)], where[len(rows) :]
    numbers = np.column_stack([np.log1p(judgements.characters[used]), np.nan_to_num(judgements.features[used])])
    gaps = numbers[first] - numbers[second]
    spread = gaps.std(axis=0) if len(gaps) else np.ones(gaps.shape[1])
    scaled = (gaps / np.where(spread > 0, spread, 1.0) * _SPREAD).astype(np.float32)
    return hstack([hashed[first] - hashed[second], csr_matrix(scaled)], format="csr")


def out_of_fold(data: Design, shares: tuple[float, ...] = SHARES) -> FloatArray:
    """Returns utility differences of each pair by models that saw no pair of its prompt, (N, len(shares)).

    The penalty is chosen once, on the first fold; a share too small to fit gives 0 (no opinion).
    """
    found = np.zeros((len(data), len(shares)))
    strength = _strength(data)
    for fold in range(FOLDS):
        held = data.folds == fold
        for column, share in enumerate(shares):
            train = ~held & (data.ranks < share)
            if train.sum() >= 10 and held.any():
                weights = _fit(data, train, strength)
                found[held, column] = data.differences[held] @ weights
    return found


def _strength(data: Design) -> float:
    held, scores = data.folds == 0, []
    for strength in _STRENGTHS:
        margins = data.differences[held] @ _fit(data, ~held, strength)
        signed = np.where(data.first_wins[held], margins, -margins)
        scores.append(float(np.logaddexp(0, -signed).mean()))
    return _STRENGTHS[int(np.argmin(scores))]


def _fit(data: Design, train: NDArray[np.bool_], strength: float) -> FloatArray:
    from sklearn.linear_model import LogisticRegression

    # Every pair enters from its first side; half of them at random from the other, so that both classes occur.
    rows = np.flatnonzero(train)
    turn = np.random.default_rng([data.seed, 3]).random(len(data))[rows] < 0.5
    signs = np.where(turn, -1.0, 1.0)
    outcome = data.first_wins[rows] ^ turn
    if outcome.all() or not outcome.any():
        return np.zeros(data.differences.shape[1])
    signed = data.differences[rows].multiply(signs[:, None]).tocsr()
    model = LogisticRegression(C=strength, fit_intercept=False, solver="lbfgs", tol=1e-3, max_iter=200)
    model.fit(signed, outcome)
    return np.asarray(model.coef_[0], dtype=np.float64)


def areas_under_margin(data: Design) -> FloatArray:
    """Returns the mean margin of each pair's label over epochs of stochastic gradient descent on all pairs, (N,).

    The area under the margin of Pleiss et al. 2020 (arXiv 2001.10528, eq. 2): what a label agrees with early on, and
    what its own gradient alone has to push for. The margin of a pair is its utility difference, chosen minus rejected.
    """
    from sklearn.linear_model import SGDClassifier

    turn = np.random.default_rng([data.seed, 4]).random(len(data)) < 0.5
    signed = data.differences.multiply(np.where(turn, -1.0, 1.0)[:, None]).tocsr()
    outcome = data.first_wins ^ turn
    model = SGDClassifier(loss="log_loss", fit_intercept=False, alpha=1e-5, random_state=data.seed % 2**32)
    total = np.zeros(len(data))
    order = np.random.default_rng([data.seed, 5])
    for _ in range(_EPOCHS):
        rows = order.permutation(len(data))
        model.partial_fit(signed[rows], outcome[rows], classes=[False, True])
        total += np.where(outcome, 1.0, -1.0) * model.decision_function(signed)
    return total / _EPOCHS


def hits(margins: FloatArray) -> FloatArray:
    """1 where the chosen response has the higher utility, 0 where the other has, 0.5 where both are alike."""
    return (margins > 0) + 0.5 * (margins == 0)
