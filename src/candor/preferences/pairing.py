"""From what annotators said to the pairs that a reward model learns from, with a count of what gave no pair.

Every comparison has total weight 1, whatever its K, when nothing is dropped: the pairs of one ranking are correlated,
so each of its C(K,2) pairs is weighted 1/C(K,2) (InstructGPT, section 3.5). This is a training convention, not
statistics: fits of annotators or scores use the comparisons themselves.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb
from typing import Literal

from candor.preferences.near_duplicates import comparable_text, near_duplicates
from candor.records import Choice, Comparison, Pair, Prompt, Ranking, Ratings

Ties = Literal["drop", "split"]
Margin = Literal["none", "gap", "strength"]

TIE = "tie"
BOTH_BAD = "both bad"
IDENTICAL = "identical responses"


@dataclass(frozen=True, kw_only=True, slots=True)
class PairingReport:
    """``dropped`` counts, by reason, the pairs of responses that an annotator judged and that give no pair.

    A pair of responses counts once, under the first reason that holds: identical responses, both bad, tie.
    """

    pairs: tuple[Pair, ...]
    comparisons: int
    dropped: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptSplit:
    """Comparisons in two parts that share no prompt."""

    train: tuple[Comparison, ...]
    heldout: tuple[Comparison, ...]


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What a judgement says about two responses: ``gap`` > 0 prefers ``a`` (rating points), None: both are bad."""

    a: int
    b: int
    gap: float | None
    weight: float


def to_pairs(
    comparison: Comparison, *, ties: Ties = "drop", tie_band: float = 0.0, margin: Margin = "none"
) -> list[Pair]:
    """Returns the pairs of one comparison; see :func:`pair_comparisons` for options, counts and the ValueError."""
    return list(_pairs(comparison, ties, tie_band, margin, Counter()))


def pair_comparisons(
    comparisons: Iterable[Comparison], *, ties: Ties = "drop", tie_band: float = 0.0, margin: Margin = "none"
) -> PairingReport:
    """Returns the pairs of many comparisons, with counts of what gave none.

    - A choice gives the best response over each of the others, weight 1/(K-1). Between the others nothing was said.
    - A ranking gives all ordered pairs, weight 1/C(K,2) each, with K the responses that were ranked.
    - Ratings give the pairs whose scores differ by more than ``tie_band`` (rating points), weight 1/C(K,2) each.
      ``margin="gap"`` keeps the difference as the pair's margin; otherwise every margin is 0.
    - ``margin="strength"`` keeps also how strongly a choice was made (1 where nobody said), in the file's own unit:
      only for files that record it, since it is a constant elsewhere. A ranking's pairs have margin 0 always.
    - Ties (a tied choice, one group of a ranking, ratings within the band): ``ties="drop"`` leaves them out and counts
      them; ``"split"`` gives both orders at half the weight, which pulls the two scores together.
    - "Both bad" is no preference and no tie: no pair, counted apart.
    - Two responses with the same text give no pair: whatever was chosen, nothing can be learned from it.

    Raises ValueError for a choice that says nothing: no best response, no tie, not both bad.
    """
    dropped: Counter[str] = Counter()
    pairs: list[Pair] = []
    count = 0
    for count, comparison in enumerate(comparisons, start=1):  # noqa: B007
        pairs.extend(_pairs(comparison, ties, tie_band, margin, dropped))
    return PairingReport(pairs=tuple(pairs), comparisons=count, dropped=dict(dropped))


def split_by_prompt(comparisons: Iterable[Comparison], heldout: float, seed: int) -> PromptSplit:
    """Returns the comparisons with a ``heldout`` share of the prompts held out, near-duplicates on the same side.

    A prompt's side is a hash of its normalised text and the seed: it does not depend on which other prompts there are,
    so that a file that grows never moves a prompt across. Prompts that are near-duplicates
    (:mod:`candor.preferences.near_duplicates`) take the side of one among them, whose text has the lowest hash: where
    one joins k others they move together, with probability at most 2 ``heldout`` (1 - ``heldout``) / (k + 1). The order
    of the comparisons has no effect. The share is met on average, not exactly. Raises ValueError for a share outside
    0 to 1.
    """
    if not 0.0 <= heldout <= 1.0:
        raise ValueError(f"heldout is a share of the prompts, from 0 to 1, not {heldout}")
    comparisons = list(comparisons)
    texts = [normalised_text(comparison.prompt) for comparison in comparisons]
    representative = _representatives(comparisons, texts)
    parts: tuple[list[Comparison], list[Comparison]] = ([], [])
    for comparison, text in zip(comparisons, texts, strict=True):
        parts[_unit_hash(representative[text], seed) < heldout].append(comparison)
    return PromptSplit(train=tuple(parts[0]), heldout=tuple(parts[1]))


def _representatives(comparisons: Sequence[Comparison], texts: Sequence[str]) -> dict[str, str]:
    """Maps each prompt's normalised text to that of the near-duplicate which decides for all of them."""
    distinct = {text: comparison.prompt for text, comparison in zip(texts, comparisons, strict=True)}
    ordered = sorted(distinct)  # which of several candidates is compared must not depend on the order of the file
    groups = near_duplicates(comparable_text(distinct[text]) for text in ordered).groups
    chosen: dict[int, str] = {}
    for group, text in sorted(zip(groups.tolist(), ordered, strict=True), key=lambda entry: _choosing(entry[1])):
        chosen.setdefault(group, text)
    return {text: chosen[group] for group, text in zip(groups.tolist(), ordered, strict=True)}


def _choosing(text: str) -> bytes:
    """Another hash than the one that decides the side: the lowest of several would be held out too often."""
    return hashlib.sha256(f"representative\x1f{text}".encode("utf-8", "surrogatepass")).digest()


def normalised_text(prompt: Prompt) -> str:
    """Roles and contents, in compatibility form (NFKC), case folded, runs of white space as one space."""
    parts = (
        f"{m.role}: {' '.join(unicodedata.normalize('NFKC', m.content).casefold().split())}" for m in prompt.messages
    )
    return "\n".join(parts)


def _unit_hash(text: str, seed: int) -> float:
    digest = hashlib.sha256(f"split\x1f{seed}\x1f{text}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _pairs(
    comparison: Comparison, ties: Ties, tie_band: float, margin: Margin, dropped: Counter[str]
) -> Iterator[Pair]:
    kept = _kept_margin(comparison, margin)
    for verdict in _verdicts(comparison, tie_band):
        a, b = comparison.responses[verdict.a], comparison.responses[verdict.b]
        if a.text == b.text:
            dropped[IDENTICAL] += 1
            continue
        if verdict.gap is None:
            dropped[BOTH_BAD] += 1
            continue
        if verdict.gap == 0 and ties == "drop":
            dropped[TIE] += 1
            continue
        chosen, rejected = (a, b) if verdict.gap >= 0 else (b, a)
        pair = Pair(
            prompt=comparison.prompt,
            chosen=chosen,
            rejected=rejected,
            margin=abs(verdict.gap) * kept,
            weight=verdict.weight if verdict.gap else verdict.weight / 2,
            annotator=comparison.annotator,
            comparison_id=comparison.id,
        )
        yield pair
        if verdict.gap == 0:
            yield replace(pair, chosen=rejected, rejected=chosen)


def _kept_margin(comparison: Comparison, margin: Margin) -> float:
    """What a gap is multiplied with to make the margin: 0 where none is kept."""
    match comparison.judgement:
        case Ratings():
            return float(margin != "none")
        case Choice(strength=strength):
            return strength if margin == "strength" else 0.0
        case Ranking():
            return 0.0


def _verdicts(comparison: Comparison, tie_band: float) -> list[_Verdict]:
    count, judgement = len(comparison.responses), comparison.judgement
    match judgement:
        case Choice(both_bad=True):
            return [_Verdict(a, b, None, 0.0) for a, b in combinations(range(count), 2)]
        case Choice(tie=True):
            return [_Verdict(a, b, 0.0, 1 / comb(count, 2)) for a, b in combinations(range(count), 2)]
        case Choice(best=int(best)):
            return [_Verdict(best, other, 1.0, 1 / (count - 1)) for other in range(count) if other != best]
        case Ranking(order=order):
            return _ranking_verdicts(order)
        case Ratings(scores=scores):
            return _rating_verdicts(scores, tie_band)
    raise ValueError(f"comparison {comparison.id}: a choice names a best response, a tie, or both bad")


def _ranking_verdicts(order: Sequence[Sequence[int]]) -> list[_Verdict]:
    places = [(index, place) for place, group in enumerate(order) for index in group]
    return [
        _Verdict(a, b, 0.0 if place_a == place_b else 1.0, 1 / comb(len(places), 2))
        for (a, place_a), (b, place_b) in combinations(places, 2)
    ]


def _rating_verdicts(scores: Sequence[float], tie_band: float) -> list[_Verdict]:
    weight = 1 / comb(len(scores), 2) if len(scores) > 1 else 0.0
    verdicts = []
    for a, b in combinations(range(len(scores)), 2):
        gap = scores[a] - scores[b]
        verdicts.append(_Verdict(a, b, gap if abs(gap) > tie_band else 0.0, weight))
    return verdicts
