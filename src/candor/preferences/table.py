"""Comparisons as columns: what was compared, by whom, and what was said, without the texts.

A million comparisons of two responses take about 200 MB here, whatever the length of their texts: an audit reads a file
once and then works on arrays. Prompts and responses are known by 64-bit hashes of their content.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from candor.preferences.pairing import normalised_text
from candor.records import Choice, Comparison, Judgement, Prompt, Ranking, Ratings, Stance

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

Describe = Callable[[Prompt, Sequence[str]], Sequence[Sequence[float]]]
"""Maps a prompt and the texts of K responses to K rows of F features; NaN where one does not apply."""


class Kind(IntEnum):
    """The form of a judgement."""

    CHOICE = 0
    RANKING = 1
    RATINGS = 2


STANCES: tuple[Stance | None, ...] = (None, *Stance)
"""What ``Judgements.stances`` counts in: 0 where the prompt carries no claim."""


@dataclass(frozen=True, kw_only=True)
class Judgements:
    """C comparisons of R responses in all, in the order of the file. Responses of comparison c: starts[c]:starts[c+1].

    Of each comparison, (C,): ``rows`` (row in its file), ``files`` (index into ``file_names``), ``prompts`` (hash of
    the prompt's content), ``prompt_characters``, ``annotators`` (index into ``annotator_names``, -1 where unknown),
    ``seconds`` (NaN where unknown), ``kinds`` (:class:`Kind`), ``strengths`` (of a choice; 1 elsewhere), ``both_bad``,
    ``tied`` (a choice that calls all equal), ``stances`` (index into ``STANCES``).

    Of each response, (R,): ``items`` (hash of prompt and text), ``texts`` (hash of the text alone), ``characters``,
    ``policies`` (index into ``policy_names``, -1 where unknown), ``places`` (0 = shown first, -1 where unknown),
    ``values`` (higher is better: 1 for a best choice and 0 for the others, minus the place in a ranking, a rating; NaN
    where nothing was said), and ``features`` (R, F), named by ``feature_names``.

    Annotators and policies are numbered in the order of their names, so that no result depends on the order of rows.
    """

    rows: IntArray
    files: IntArray
    prompts: IntArray
    prompt_characters: IntArray
    annotators: IntArray
    seconds: FloatArray
    kinds: IntArray
    strengths: FloatArray
    both_bad: BoolArray
    tied: BoolArray
    stances: IntArray
    starts: IntArray
    items: IntArray
    texts: IntArray
    characters: IntArray
    policies: IntArray
    places: IntArray
    values: FloatArray
    features: NDArray[np.float32]
    file_names: tuple[str, ...]
    annotator_names: tuple[str, ...]
    policy_names: tuple[str, ...]
    feature_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def sizes(self) -> IntArray:
        """How many responses each comparison has, (C,)."""
        return np.diff(self.starts)

    @cached_property
    def comparison_of(self) -> IntArray:
        """The comparison that each response belongs to, (R,)."""
        return np.repeat(np.arange(len(self)), self.sizes)

    @cached_property
    def pairs(self) -> JudgedPairs:
        """Every two responses of one comparison of which one was preferred, or the two were called equal."""
        return judged_pairs(self)

    def feature(self, name: str) -> FloatArray:
        """One feature of every response, (R,). Raises ValueError for a name that is none."""
        return self.features[:, self.feature_names.index(name)].astype(np.float64)

    def where(self, comparison: int) -> tuple[str, int]:
        """The file and the row of a comparison."""
        return self.file_names[self.files[comparison]], int(self.rows[comparison])


@dataclass(frozen=True, kw_only=True)
class JudgedPairs:
    """Q judged pairs of responses, all arrays (Q,), ordered by comparison.

    ``first`` and ``second`` index responses: where the order shown is known, ``first`` was shown before ``second``
    (``ordered`` is True); elsewhere they are in the order of their content's hashes, which says nothing about which is
    better. ``outcome``: 1 where ``first`` was preferred, 0 where ``second`` was, 0.5 where they were called equal.
    ``gap``: difference of the values, first minus second (places of a ranking, rating points; +-strength of a choice).
    ``weight``: 1 over the judged pairs of the comparison. ``unit``: number of the unordered pair of items, the same for
    everyone who judged the two; ``flipped``: ``first`` is the one of the two with the higher hash, so that
    ``where(flipped, 1 - outcome, outcome)`` is the outcome from one fixed side.
    """

    comparison: IntArray
    first: IntArray
    second: IntArray
    outcome: FloatArray
    gap: FloatArray
    weight: FloatArray
    ordered: BoolArray
    unit: IntArray
    flipped: BoolArray

    def __len__(self) -> int:
        return len(self.comparison)

    def difference(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """First minus second of what is known of every response: (R,) to (Q,) or (R, F) to (Q, F)."""
        return values[self.first] - values[self.second]

    @property
    def canonical_outcome(self) -> FloatArray:
        """The outcome from the side of the item with the lower hash: comparable between annotators."""
        return np.where(self.flipped, 1.0 - self.outcome, self.outcome)


def judged_pairs(judgements: Judgements) -> JudgedPairs:
    """Returns the judged pairs of every comparison.

    The pairs are those of :func:`candor.preferences.pairing.pair_comparisons` with ``ties="split"``, but that a tie is
    one pair with outcome 0.5. Both bad gives none, and neither do two responses with the same text.
    """
    sizes = judgements.sizes
    comparison, a, b = [], [], []
    for size in np.unique(sizes):
        of_size = np.flatnonzero(sizes == size)
        i, j = np.triu_indices(int(size), k=1)
        start = judgements.starts[of_size][:, None]
        comparison.append(np.repeat(of_size, len(i)))
        a.append((start + i[None, :]).ravel())
        b.append((start + j[None, :]).ravel())
    if not comparison:
        comparison, a, b = ([np.empty(0, np.int64)] for _ in range(3))
    of, first, second = (np.concatenate(part).astype(np.int64) for part in (comparison, a, b))
    value_a, value_b = judgements.values[first], judgements.values[second]
    said = np.isfinite(value_a) & np.isfinite(value_b)
    among_others = (judgements.kinds[of] == Kind.CHOICE) & (value_a == value_b) & ~judgements.tied[of]
    alike = judgements.texts[first] == judgements.texts[second]
    keep = np.flatnonzero(said & ~among_others & ~alike)
    keep = keep[np.argsort(of[keep], kind="stable")]
    return _oriented(judgements, of[keep], first[keep], second[keep])


def _oriented(judgements: Judgements, of: IntArray, first: IntArray, second: IntArray) -> JudgedPairs:
    place_a, place_b = judgements.places[first], judgements.places[second]
    ordered = (place_a >= 0) & (place_b >= 0)
    higher = judgements.items[first] > judgements.items[second]
    turn = np.where(ordered, place_a > place_b, higher)
    first, second = np.where(turn, second, first), np.where(turn, first, second)
    gap = judgements.values[first] - judgements.values[second]
    outcome = np.where(gap == 0, 0.5, (gap > 0).astype(np.float64))
    gap = np.where(judgements.kinds[of] == Kind.CHOICE, gap * judgements.strengths[of], gap)
    low = np.minimum(judgements.items[first], judgements.items[second])
    high = np.maximum(judgements.items[first], judgements.items[second])
    counts = np.bincount(of, minlength=len(judgements))
    return JudgedPairs(
        comparison=of,
        first=first,
        second=second,
        outcome=outcome,
        gap=gap,
        weight=1.0 / counts[of] if len(of) else np.empty(0),
        ordered=ordered,
        unit=_pair_codes(low, high),
        flipped=judgements.items[first] > judgements.items[second],
    )


def _pair_codes(low: IntArray, high: IntArray) -> IntArray:
    """Numbers 0, 1, ... of unordered pairs, in the order of their hashes."""
    if not len(low):
        return np.empty(0, np.int64)
    order = np.lexsort((high, low))
    changed = (np.diff(low[order]) != 0) | (np.diff(high[order]) != 0)
    codes = np.empty(len(low), np.int64)
    codes[order] = np.concatenate([[0], np.cumsum(changed)])
    return codes


class TableBuilder:
    """Takes comparisons one at a time and makes :class:`Judgements` of them.

    ``describe`` gives the features of the responses; ``feature_names`` their names.
    """

    def __init__(self, describe: Describe | None = None, feature_names: Sequence[str] = ()) -> None:
        self._describe, self._feature_names = describe, tuple(feature_names)
        self._integers = {name: array("q") for name in _INTEGERS}
        self._floats = {name: array("d") for name in ("seconds", "strengths", "values")}
        self._features = array("f")
        self._starts = array("q", [0])
        self._names: dict[str, dict[str, int]] = {"files": {}, "annotators": {}, "policies": {}}

    def __len__(self) -> int:
        return len(self._starts) - 1

    def add(self, comparison: Comparison, *, row: int, file: str = "") -> int:
        """Takes one comparison and returns its number. Raises ValueError where ``describe`` gives too few features."""
        number, add = len(self), self._add
        prompt, judgement = comparison.prompt, comparison.judgement
        content = normalised_text(prompt)
        prompt_hash = hash64(content)
        add("rows", row)
        add("files", self._code("files", file))
        add("prompts", prompt_hash)
        add("prompt_characters", len(content))
        add("annotators", self._code("annotators", comparison.annotator) if comparison.annotator else -1)
        add("kinds", _kind(judgement))
        add("both_bad", isinstance(judgement, Choice) and judgement.both_bad)
        add("tied", isinstance(judgement, Choice) and judgement.tie and not judgement.both_bad)
        add("stances", STANCES.index(prompt.claim.stance) if prompt.claim else 0)
        self._floats["seconds"].append(float("nan") if comparison.seconds is None else comparison.seconds)
        self._floats["strengths"].append(judgement.strength if isinstance(judgement, Choice) else 1.0)
        texts = [response.text for response in comparison.responses]
        places = {index: place for place, index in enumerate(comparison.shown_order)}
        for index, response in enumerate(comparison.responses):
            text_hash = hash64(response.text)
            add("items", _mix(prompt_hash, text_hash))
            add("texts", text_hash)
            add("characters", len(response.text))
            add("policies", self._code("policies", response.policy) if response.policy else -1)
            add("places", places.get(index, -1))
        self._floats["values"].extend(response_values(judgement, len(texts)))
        if self._describe is not None:
            for features in self._describe(prompt, texts):
                if len(features) != len(self._feature_names):
                    raise ValueError(f"expected {len(self._feature_names)} features, got {len(features)}")
                self._features.extend(features)
        self._starts.append(self._starts[-1] + len(texts))
        return number

    def build(self) -> Judgements:
        """Returns the table of everything that was added. It takes the builder's memory over: nothing can follow."""
        integers: dict[str, Any] = {name: _taken(values, np.int64) for name, values in self._integers.items()}
        floats: dict[str, Any] = {name: _taken(values, np.float64) for name, values in self._floats.items()}
        responses = int(self._starts[-1])
        features = _taken(self._features, np.float32).reshape(responses, len(self._feature_names))
        people, annotators = _by_name(self._names["annotators"], integers["annotators"])
        systems, policies = _by_name(self._names["policies"], integers["policies"])
        integers |= {"annotators": annotators, "policies": policies}
        return Judgements(
            **{**integers, **floats, **{name: integers[name].astype(bool) for name in _FLAGS}},
            starts=_taken(self._starts, np.int64),
            features=features,
            file_names=tuple(self._names["files"]),
            annotator_names=people,
            policy_names=systems,
            feature_names=self._feature_names,
        )

    def _add(self, name: str, value: int) -> None:
        self._integers[name].append(value)

    def _code(self, names: str, name: str) -> int:
        return self._names[names].setdefault(name, len(self._names[names]))


_INTEGERS = (
    "rows",
    "files",
    "prompts",
    "prompt_characters",
    "annotators",
    "kinds",
    "both_bad",
    "tied",
    "stances",
    "items",
    "texts",
    "characters",
    "policies",
    "places",
)
_FLAGS = ("both_bad", "tied")


def _taken(values: array[Any], kind: type[np.generic]) -> NDArray[Any]:
    """The values as an array without a copy, which for a million comparisons is some hundred megabytes."""
    return np.frombuffer(values, dtype=kind) if len(values) else np.empty(0, dtype=kind)


def _by_name(codes: dict[str, int], numbers: IntArray) -> tuple[tuple[str, ...], IntArray]:
    """The names in order, and ``numbers`` (N,), which counted them as they appeared, in that order; -1 stays."""
    names = tuple(sorted(codes))
    rank = np.empty(len(names) + 1, np.int64)
    rank[[codes[name] for name in names]] = np.arange(len(names))
    rank[-1] = -1
    return names, rank[numbers]


def response_values(judgement: Judgement, count: int) -> list[float]:
    """What a judgement says of each of ``count`` responses, higher is better; NaN where it says nothing."""
    match judgement:
        case Choice(both_bad=True):
            return [float("nan")] * count
        case Choice(tie=True):
            return [0.5] * count
        case Choice(best=best):
            return [float(index == best) for index in range(count)]
        case Ratings(scores=scores):
            return list(scores)
        case Ranking(order=order):
            values = [float("nan")] * count
            for place, group in enumerate(order):
                for index in group:
                    values[index] = -float(place)
            return values


def hash64(text: str) -> int:
    """A signed 64-bit hash of a text, the same in every process."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def _kind(judgement: Judgement) -> Kind:
    return {Choice: Kind.CHOICE, Ranking: Kind.RANKING, Ratings: Kind.RATINGS}[type(judgement)]


def _mix(prompt: int, text: int) -> int:
    digest = hashlib.blake2b(prompt.to_bytes(8, "big", signed=True), digest_size=8)
    digest.update(text.to_bytes(8, "big", signed=True))
    return int.from_bytes(digest.digest(), "big", signed=True)
