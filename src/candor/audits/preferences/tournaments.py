"""Who beat whom how often: groups of items that were compared with each other, as graphs of votes.

The items of one prompt make a group; where it is known which system wrote a response, the systems make one group
across prompts. Only judgements of one pair each can show a cycle among responses: the pairs of one ranking, or of one
annotator's ratings, are transitive by their form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from candor.preferences.table import BoolArray, FloatArray, IntArray, JudgedPairs, Judgements, Kind

MAX_WEDGES = 2_000_000
"""Pairs of edges at one item that are looked through for triads; beyond it items are drawn at random."""


@dataclass(frozen=True, kw_only=True)
class Tournaments:
    """G groups of N items in all with E edges: pairs of items that somebody compared, ``a`` < ``b``.

    Of each item, (N,): ``group``. Of each edge, (E,): ``a``, ``b``, ``wins_a``, ``wins_b`` (votes; a tie is none) and
    ``ties``. Of each vote that is not a tie, (V,): ``vote_edge``, ``vote_for_a`` and ``vote_comparison`` (its number in
    the table). ``paired``: every vote was a judgement of one pair.
    """

    group: IntArray
    a: IntArray
    b: IntArray
    wins_a: IntArray
    wins_b: IntArray
    ties: IntArray
    vote_edge: IntArray
    vote_for_a: BoolArray
    vote_comparison: IntArray
    paired: bool = True

    @property
    def edge_group(self) -> IntArray:
        """The group of each edge, (E,)."""
        return self.group[self.a]

    @property
    def votes(self) -> IntArray:
        """The votes per edge without ties, (E,)."""
        return self.wins_a + self.wins_b

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return int(self.group[-1]) + 1 if len(self.group) else 0


def of_items(tournaments: Tournaments, kept: BoolArray) -> Tournaments:
    """Returns the tournaments among the kept items, (N,), numbered anew; votes are left out, their counts kept."""
    number = np.cumsum(kept) - 1
    edges = np.flatnonzero(kept[tournaments.a] & kept[tournaments.b])
    nothing = np.empty(0, np.int64)
    return Tournaments(
        group=np.unique(tournaments.group[kept], return_inverse=True)[1].reshape(-1),
        a=number[tournaments.a[edges]],
        b=number[tournaments.b[edges]],
        wins_a=tournaments.wins_a[edges],
        wins_b=tournaments.wins_b[edges],
        ties=tournaments.ties[edges],
        vote_edge=nothing,
        vote_for_a=nothing.astype(bool),
        vote_comparison=nothing,
        paired=tournaments.paired,
    )


@dataclass(frozen=True, kw_only=True)
class Triads:
    """T triads a < b < c of items with their edges, all arrays (T,): ``ab``, ``bc`` and ``ac`` index edges."""

    ab: IntArray
    bc: IntArray
    ac: IntArray

    def __len__(self) -> int:
        return len(self.ab)

    @property
    def edges(self) -> IntArray:
        """The three edges of each triad, (T, 3), in the order a-b, b-c, a-c."""
        return np.stack([self.ab, self.bc, self.ac], axis=1) if len(self.ab) else np.empty((0, 3), np.int64)

    def around(self, wins_a: NDArray[np.integer], wins_b: NDArray[np.integer]) -> IntArray:
        """Returns the votes that go round a > b > c > a, (T, 3), from the wins of the two ends of every edge, (E,)."""
        return np.stack([wins_a[self.ab], wins_a[self.bc], wins_b[self.ac]], axis=1)

    def take(self, chosen: IntArray) -> Triads:
        """Returns the chosen triads."""
        return Triads(ab=self.ab[chosen], bc=self.bc[chosen], ac=self.ac[chosen])


def independent_pairs(judgements: Judgements) -> IntArray:
    """Returns numbers into ``judgements.pairs``: those that are the only pair of their judgement, and no ratings."""
    pairs = judgements.pairs
    alone = judgements.sizes[pairs.comparison] == 2
    return np.flatnonzero(alone & (judgements.kinds[pairs.comparison] != Kind.RATINGS))


def responses_compared(judgements: Judgements) -> Tournaments:
    """Returns the groups of responses to one prompt, from judgements of one pair each.

    A person who judged the same two responses several times has one vote: what they said more often.
    """
    pairs, chosen = judgements.pairs, independent_pairs(judgements)
    first, second = pairs.first[chosen], pairs.second[chosen]
    chosen = chosen[judgements.items[first] != judgements.items[second]]
    low, high = _ends(pairs, chosen)
    items = np.concatenate([low, high])
    keys = np.stack([judgements.prompts[judgements.comparison_of[items]], judgements.items[items]], axis=1)
    known, codes = np.unique(keys, axis=0, return_inverse=True)
    codes = codes.reshape(-1)
    group = np.unique(known[:, 0], return_inverse=True)[1].reshape(-1)
    annotator = judgements.annotators[pairs.comparison[chosen]]
    voter = np.where(annotator >= 0, annotator, len(judgements.annotator_names) + np.arange(len(chosen)))
    outcome = 2 * pairs.canonical_outcome[chosen] - 1
    return _count(codes[: len(chosen)], codes[len(chosen) :], outcome, voter, pairs.comparison[chosen], group)


def systems_compared(judgements: Judgements) -> Tournaments:
    """Returns the one group of systems, from judgements of every form: one vote a prompt and pair of systems.

    The vote of a prompt is what its judgements say more often. Rankings may enter here, as votes of different prompts
    are independent though the pairs of one ranking are not.
    """
    pairs = judgements.pairs
    policy_a, policy_b = judgements.policies[pairs.first], judgements.policies[pairs.second]
    chosen = np.flatnonzero((policy_a >= 0) & (policy_b >= 0) & (policy_a != policy_b))
    names = np.argsort(np.argsort(np.array(judgements.policy_names))) if judgements.policy_names else np.empty(0, int)
    one, two = names[policy_a[chosen]], names[policy_b[chosen]]
    outcome = 2 * pairs.outcome[chosen] - 1
    outcome = np.where(one < two, outcome, -outcome)
    low, high = np.minimum(one, two), np.maximum(one, two)
    prompt = np.unique(judgements.prompts[pairs.comparison[chosen]], return_inverse=True)[1].reshape(-1)
    group = np.zeros(len(judgements.policy_names), np.int64)
    independent = np.isin(chosen, independent_pairs(judgements))
    return _count(low, high, outcome, prompt, pairs.comparison[chosen], group, paired=bool(independent.all()))


def _ends(pairs: JudgedPairs, chosen: IntArray) -> tuple[IntArray, IntArray]:
    """The responses with the lower and the higher hash of each pair."""
    first, second, flipped = pairs.first[chosen], pairs.second[chosen], pairs.flipped[chosen]
    return np.where(flipped, second, first), np.where(flipped, first, second)


def _count(
    a: IntArray,
    b: IntArray,
    outcome: FloatArray,
    voter: IntArray,
    comparison: IntArray,
    group: IntArray,
    *,
    paired: bool = True,
) -> Tournaments:
    """One vote per voter and edge: the sign of what they said in all."""
    items = len(group)
    edge_code = a.astype(np.int64) * max(items, 1) + b
    codes, edge = np.unique(edge_code, return_inverse=True)
    edge = edge.reshape(-1)
    ballots, ballot = np.unique(np.stack([edge, voter], axis=1), axis=0, return_inverse=True)
    ballot = ballot.reshape(-1)
    said = np.sign(np.bincount(ballot, weights=outcome, minlength=len(ballots)))
    shown = np.full(len(ballots), len(outcome), np.int64)
    agrees = np.sign(outcome) == said[ballot]
    np.minimum.at(shown, ballot[agrees], np.flatnonzero(agrees))
    ballot_edge, count = ballots[:, 0].astype(np.int64), len(codes)
    decided = np.flatnonzero(said != 0)
    return Tournaments(
        group=group,
        a=codes // max(items, 1),
        b=codes % max(items, 1),
        wins_a=np.bincount(ballot_edge[said > 0], minlength=count),
        wins_b=np.bincount(ballot_edge[said < 0], minlength=count),
        ties=np.bincount(ballot_edge[said == 0], minlength=count),
        vote_edge=ballot_edge[decided],
        vote_for_a=said[decided] > 0,
        vote_comparison=comparison[shown[decided]],
        paired=paired,
    )


def find_triads(tournaments: Tournaments, rng: np.random.Generator) -> Triads:
    """Returns all triads whose three pairs have votes; those of items drawn at random where they are too many."""
    kept = np.flatnonzero(tournaments.votes > 0)
    a, b, items = tournaments.a[kept], tournaments.b[kept], len(tournaments.group)
    if not len(kept):
        return Triads(ab=kept, bc=kept, ac=kept)
    later = np.searchsorted(a, a, side="right") - np.arange(len(a)) - 1
    if later.sum() > MAX_WEDGES:
        order = rng.permutation(items)
        wedges = np.bincount(a, weights=later, minlength=items)[order]
        drawn = np.zeros(items, bool)
        drawn[order[np.cumsum(wedges) <= MAX_WEDGES]] = True
        later = np.where(drawn[a], later, 0)
    left = np.repeat(np.arange(len(a)), later)
    right = left + 1 + np.arange(len(left)) - np.repeat(np.cumsum(later) - later, later)
    codes, wanted = a * items + b, b[left] * items + b[right]
    at = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
    found = codes[at] == wanted
    return Triads(ab=kept[left[found]], bc=kept[at[found]], ac=kept[right[found]])


def edge_disjoint(triads: Triads, votes: IntArray, limit: int, rng: np.random.Generator) -> IntArray:
    """Returns numbers of at most ``limit`` triads that share no edge, so that their votes are independent.

    Those with more votes on their weakest edge come first, ties drawn at random: the choice does not look at who won.
    """
    edges = triads.edges
    weakest = votes[edges].min(axis=1, initial=np.iinfo(np.int64).max)
    order = np.lexsort((rng.permutation(len(triads)), -weakest))
    used, chosen = np.zeros(len(votes), bool), []
    for number in order:
        three = edges[number]
        if not used[three].any():
            used[three] = True
            chosen.append(number)
            if len(chosen) == limit:
                break
    return np.array(sorted(chosen), np.int64)


def cyclic(around: IntArray, votes: IntArray) -> tuple[BoolArray, BoolArray]:
    """Whether each triad's majorities are cyclic, and whether all three are decided, (T, ...).

    ``around`` and ``votes`` have shape (T, 3, ...): votes round the cycle, and votes in all.
    """
    margin = 2 * around - votes
    decided = (margin != 0).all(axis=1)
    return decided & ((margin > 0).all(axis=1) | (margin < 0).all(axis=1)), decided


def cyclic_triads(wins: IntArray) -> int:
    """Returns d = C(n, 3) - sum_i C(s_i, 2), the cyclic triads of a complete tournament (Kendall 1940).

    ``wins`` holds the number of items that each of the n items beats, (n,). Raises ValueError where they do not add up
    to one winner per pair.
    """
    n = len(wins)
    if 2 * int(np.sum(wins)) != n * (n - 1):
        raise ValueError(f"{n} items have {n * (n - 1) // 2} pairs, got {int(np.sum(wins))} wins")
    return n * (n - 1) * (n - 2) // 6 - int(np.sum(wins * (wins - 1) // 2))


def kendall_zeta(cycles: float, n: int) -> float:
    """Returns Kendall's coefficient of consistence, 1 - d / d_max (Kendall and Babington Smith 1940).

    d_max is (n^3 - n) / 24 for odd n and (n^3 - 4n) / 24 for even n. Raises ValueError for fewer than three items.
    """
    if n < 3:
        raise ValueError(f"consistence needs three items or more, got {n}")
    most = (n**3 - n) / 24 if n % 2 else (n**3 - 4 * n) / 24
    return 1 - cycles / most
