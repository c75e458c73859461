"""Comparisons as token ids and indices, made once: what the reward model's loop reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from candor.ops.batches import Truncation, fit_prompt
from candor.ops.packing import Tree
from candor.preferences.pairing import to_pairs
from candor.records import Choice, Comparison, Prompt, Ranking, Ratings, Response


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexPair:
    """A pair by place: ``chosen`` and ``rejected`` index the replies of :attr:`RankedExample.tree`."""

    chosen: int
    rejected: int
    margin: float
    weight: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RankedExample:
    """One tokenised comparison: its prompt and distinct replies, its pairs, and each response's (reply, rank).

    Rank 0 is best; responses about which nothing was said are left out of ``ranks``.
    """

    id: str
    prompt_id: str
    tree: Tree
    pairs: tuple[IndexPair, ...]
    ranks: tuple[tuple[int, int], ...]


@dataclass(frozen=True, kw_only=True)
class RankedData:
    """What came of the comparisons.

    ``truncation`` counts responses (its ``dropped_ids`` name comparisons); ``pairs_dropped`` counts the pairs of those
    dropped; ``without_pairs`` names the comparisons that gave no pair and so no example.
    """

    examples: tuple[RankedExample, ...]
    truncation: Truncation
    pairs_dropped: int
    without_pairs: tuple[str, ...]


def rank_examples(
    comparisons: Sequence[Comparison],
    *,
    encode_prompt: Callable[[Prompt], Sequence[int]],
    encode_response: Callable[[Response], Sequence[int]],
    max_length: int,
) -> RankedData:
    """Returns each comparison tokenised once, with its pairs.

    All responses of a comparison see the same prompt, cut from the left to fit the longest of them. A response that
    alone does not fit ``max_length`` is left out with its pairs, counted. ``encode_prompt`` returns at least one token:
    raises ValueError where it does not.
    """
    truncation = Truncation()
    examples: list[RankedExample] = []
    without_pairs: list[str] = []
    pairs_dropped = 0
    for comparison in comparisons:
        replies = [tuple(encode_response(response)) for response in comparison.responses]
        fits = [len(reply) < max_length for reply in replies]
        truncation.total += len(replies)
        if not all(fits):
            truncation.dropped += fits.count(False)
            truncation.dropped_ids.append(comparison.id)
        pairs, dropped = _fitting_pairs(comparison, fits)
        pairs_dropped += dropped
        if not pairs:
            without_pairs.append(comparison.id)
            continue
        used = sorted({i for pair in pairs for i in (pair.chosen, pair.rejected)})
        whole = encode_prompt(comparison.prompt)
        prompt = fit_prompt(whole, max(len(replies[i]) for i in used), max_length)
        if prompt is None:
            raise ValueError(f"comparison {comparison.id}: its prompt encodes to no token")
        truncation.cut += len(used) * (len(prompt) < len(whole))
        examples.append(_example(comparison, prompt, {i: replies[i] for i in used}, pairs))
    return RankedData(
        examples=tuple(examples),
        truncation=truncation,
        pairs_dropped=pairs_dropped,
        without_pairs=tuple(without_pairs),
    )


def _fitting_pairs(comparison: Comparison, fits: Sequence[bool]) -> tuple[list[IndexPair], int]:
    """Returns the pairs, by response, of responses that fit, and the number of the other pairs."""
    place = {id(response): i for i, response in enumerate(comparison.responses)}
    pairs = [
        IndexPair(chosen=place[id(p.chosen)], rejected=place[id(p.rejected)], margin=p.margin, weight=p.weight)
        for p in to_pairs(comparison)
    ]
    kept = [pair for pair in pairs if fits[pair.chosen] and fits[pair.rejected]]
    return kept, len(pairs) - len(kept)


def _example(
    comparison: Comparison, prompt: tuple[int, ...], replies: dict[int, tuple[int, ...]], pairs: Sequence[IndexPair]
) -> RankedExample:
    """Numbers the distinct replies, so that a text that was sampled twice is encoded once."""
    number = {reply: place for place, reply in enumerate(dict.fromkeys(replies.values()))}
    place = {i: number[reply] for i, reply in replies.items()}
    return RankedExample(
        id=comparison.id,
        prompt_id=comparison.prompt.id,
        tree=Tree(prompt=prompt, replies=tuple(number)),
        pairs=tuple(
            IndexPair(chosen=place[p.chosen], rejected=place[p.rejected], margin=p.margin, weight=p.weight)
            for p in pairs
        ),
        ranks=tuple((place[i], rank) for i, rank in _ranks(comparison) if i in place),
    )


def _ranks(comparison: Comparison) -> list[tuple[int, int]]:
    """Returns (response, rank) for each response that was judged; equal ranks say nothing about each other."""
    everyone = range(len(comparison.responses))
    match comparison.judgement:
        case Choice(best=best):
            return [(i, int(best is not None and i != best)) for i in everyone]
        case Ranking(order=order):
            return [(i, rank) for rank, group in enumerate(order) for i in group]
        case Ratings(scores=scores):
            levels = sorted(set(scores), reverse=True)
            return [(i, levels.index(scores[i])) for i in everyone]
