"""Comparisons as token ids and indices, made once: what the reward model's loop reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from candor.ops.batches import Truncation, fit_prompt
from candor.ops.packing import Tree
from candor.preferences.pairing import Margin, Ties, to_pairs
from candor.records import Choice, Comparison, Pair, Prompt, Ranking, Ratings, Response

Fit = Callable[[Sequence[int], int, int], tuple[int, ...] | None]


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

    Rank 0 is best; responses about which nothing was said are left out of ``ranks``. ``weight`` multiplies its loss.
    """

    id: str
    prompt_id: str
    tree: Tree
    pairs: tuple[IndexPair, ...]
    ranks: tuple[tuple[int, int], ...]
    annotator: str = ""
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class RankedData:
    """What came of the comparisons.

    ``truncation`` counts responses (its ``dropped_ids`` name comparisons); ``pairs_dropped`` counts the pairs of those
    dropped; ``pairs_alike`` those whose two texts are the same tokens; ``without_pairs`` names the comparisons that
    gave no pair and so no example.
    """

    examples: tuple[RankedExample, ...]
    truncation: Truncation
    pairs_dropped: int
    pairs_alike: int
    without_pairs: tuple[str, ...]


def rank_examples(
    comparisons: Sequence[Comparison],
    *,
    encode_prompt: Callable[[Prompt], Sequence[int]],
    encode_response: Callable[[Response], Sequence[int]],
    max_length: int,
    fit: Fit = fit_prompt,
    ties: Ties = "drop",
    tie_band: float = 0.0,
    margin: Margin = "none",
) -> RankedData:
    """Returns each comparison tokenised once, with its pairs.

    ``ties``, ``tie_band`` and ``margin`` are those of :func:`candor.preferences.pairing.pair_comparisons`.

    All responses of a comparison see the same prompt, cut from the left to fit the longest of them. A response that
    alone does not fit ``max_length`` is left out with its pairs, counted; so are pairs whose two sides are the same
    tokens, of which nothing can be learned. ``fit(prompt, reply length, max_length)`` cuts a prompt, or returns None
    where nothing of it is left. Raises ValueError where ``encode_prompt`` returns no token.
    """
    truncation = Truncation()
    examples: list[RankedExample] = []
    without_pairs: list[str] = []
    pairs_dropped = pairs_alike = 0
    for comparison in comparisons:
        replies = [tuple(encode_response(response)) for response in comparison.responses]
        whole = tuple(encode_prompt(comparison.prompt))
        if not whole:
            raise ValueError(f"comparison {comparison.id}: its prompt encodes to no token")
        fits = [fit(whole, len(reply), max_length) is not None for reply in replies]
        truncation.total += len(replies)
        if not all(fits):
            truncation.dropped += fits.count(False)
            truncation.dropped_ids.append(comparison.id)
        judged = to_pairs(comparison, ties=ties, tie_band=tie_band, margin=margin)
        pairs, dropped = _fitting_pairs(comparison, judged, fits)
        pairs_dropped += dropped
        distinct = [pair for pair in pairs if replies[pair.chosen] != replies[pair.rejected]]
        pairs_alike += len(pairs) - len(distinct)
        pairs = distinct
        if not pairs:
            without_pairs.append(comparison.id)
            continue
        used = sorted({i for pair in pairs for i in (pair.chosen, pair.rejected)})
        prompt = fit(whole, max(len(replies[i]) for i in used), max_length)
        assert prompt is not None, "every reply that is used fits"
        truncation.cut += len(used) * (len(prompt) < len(whole))
        examples.append(_example(comparison, prompt, {i: replies[i] for i in used}, pairs))
    return RankedData(
        examples=tuple(examples),
        truncation=truncation,
        pairs_dropped=pairs_dropped,
        pairs_alike=pairs_alike,
        without_pairs=tuple(without_pairs),
    )


def _fitting_pairs(comparison: Comparison, judged: Sequence[Pair], fits: Sequence[bool]) -> tuple[list[IndexPair], int]:
    """Returns the pairs, by response, of responses that fit, and the number of the other pairs."""
    place = {id(response): i for i, response in enumerate(comparison.responses)}
    pairs = [
        IndexPair(chosen=place[id(p.chosen)], rejected=place[id(p.rejected)], margin=p.margin, weight=p.weight)
        for p in judged
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
        annotator=comparison.annotator,
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
