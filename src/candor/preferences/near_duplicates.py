"""Prompts that are the same but for small edits: found by MinHash, confirmed on their texts.

Two prompts are **near-duplicates** where, case, punctuation and spacing aside,

- at least 85% of their pieces of five characters are shared (Jaccard similarity, Broder 1997), and
- no word, number or negation of one stands in the other's place, misspellings aside. "What is the capital of Chad?" and
  "What is the capital of Peru?" are alike to any measure of similarity, and different questions: questions made from
  one template are not duplicates.

Candidates come from 128 MinHash slots in 18 bands of 7 (Leskovec, Rajaraman & Ullman 2020, section 3.4): a pair with
similarity .85 shares a band with probability .999, one with .5 with .13. Every candidate is then compared on its text:
the library's version or seed decides what is compared, never what counts as a duplicate. Signatures (256 bytes a
prompt) stay in memory, texts go to a temporary file beyond 64 MB.

Why `rensa`: `datasketch` is older and as well maintained, but takes about ten times as long for the same slots, which a
million prompts do not leave room for.
"""

from __future__ import annotations

import difflib
import re
import tempfile
import unicodedata
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, Self, cast

import numpy as np
from numpy.typing import NDArray

from candor.records import Prompt

IntArray = NDArray[np.int64]

THRESHOLD = 0.85
PIECE = 5
SLOTS, BANDS, ROWS = 128, 18, 7
MAX_CHECKS = 1_000_000
"""So many candidates are compared on their texts, the likeliest first; the rest is counted in ``unchecked``."""

_MARGIN = 0.1  # the estimate from 128 slots has a standard error of .03 at .85
_SMALL_RUN, _WINDOW = 30, 10  # a bucket with more members compares each with its nearest in sorted order only
_LIMIT = 10_000  # characters compared from either end of a long prompt
_BATCH = 200_000  # characters
_IN_MEMORY = 64 * 2**20  # bytes
_SEED = 20_261_126
_WORD = re.compile(r"\w+")
_NEGATIONS = frozenset(
    "no not never nor none without neither nobody nothing cannot t dont isnt doesnt didnt wont".split()  # noqa: SIM905
)  # "don't" falls into "don" and "t"
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x100000001B3))


@dataclass(frozen=True, kw_only=True)
class NearDuplicates:
    """What was found among P distinct texts: ``groups`` (P,) numbers their connected components.

    ``pairs`` (Q, 2) are the near-duplicates that were confirmed, enough to connect each group; ``similarity`` (Q,) is
    their exact Jaccard similarity. ``unchecked``: candidates left uncompared, see ``MAX_CHECKS``.
    """

    groups: IntArray
    pairs: IntArray
    similarity: NDArray[np.float64]
    unchecked: int

    @property
    def sizes(self) -> IntArray:
        """The members of each text's group, itself included, (P,)."""
        counts = np.bincount(self.groups) if len(self.groups) else np.empty(0, np.int64)
        return counts[self.groups] if len(self.groups) else counts


class PromptIndex:
    """Takes texts one at a time, numbers them, and finds the near-duplicates among them; closes its file on exit."""

    def __init__(self) -> None:
        self._signatures: list[NDArray[np.uint16]] = []
        self._batch: list[str] = []
        self._characters = 0
        self._spool = cast(IO[bytes], tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY))  # noqa: SIM115
        self._ends = array("q", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._spool.close()

    def add(self, text: str) -> int:
        """Takes a text in the form of :func:`comparable_text` and returns its number."""
        number = len(self)
        self._batch.append(text)
        self._characters += len(text)
        self._ends.append(self._ends[-1] + self._spool.write(text.encode("utf-8", "surrogatepass")))
        if self._characters > _BATCH:
            self._flush()
        return number

    def text(self, number: int) -> str:
        """The text that ``add`` gave this number."""
        self._spool.seek(self._ends[number])
        found = self._spool.read(self._ends[number + 1] - self._ends[number]).decode("utf-8", "surrogatepass")
        self._spool.seek(self._ends[-1])
        return found

    def find(self) -> NearDuplicates:
        """Returns the near-duplicates among the texts so far."""
        self._flush()
        signatures = np.concatenate(self._signatures) if self._signatures else np.empty((0, SLOTS), np.uint16)
        candidates, estimates = _likely(signatures, _candidates(signatures))
        order = np.lexsort((candidates[:, 1], candidates[:, 0], -estimates))[:MAX_CHECKS]
        return self._confirm(candidates[order], unchecked=len(candidates) - len(order))

    def _confirm(self, candidates: IntArray, unchecked: int) -> NearDuplicates:
        text = lru_cache(maxsize=4096)(self.text)
        parents = list(range(len(self)))
        pairs: list[tuple[int, int]] = []
        similarity: list[float] = []
        for a, b in candidates.tolist():
            root_a, root_b = _root(parents, a), _root(parents, b)
            if root_a == root_b:
                continue
            shared = confirmed_similarity(text(a), text(b))
            if shared >= THRESHOLD:
                parents[max(root_a, root_b)] = min(root_a, root_b)
                pairs.append((a, b))
                similarity.append(shared)
        roots = np.array([_root(parents, i) for i in range(len(self))], dtype=np.int64)
        groups = np.unique(roots, return_inverse=True)[1].astype(np.int64) if len(roots) else roots
        found = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        return NearDuplicates(groups=groups, pairs=found, similarity=np.array(similarity), unchecked=unchecked)

    def _flush(self) -> None:
        if self._batch:
            self._signatures.append(_signatures(self._batch))
        self._batch, self._characters = [], 0


def near_duplicates(texts: Iterable[str]) -> NearDuplicates:
    """Returns the near-duplicates among texts (in the form of :func:`comparable_text`), numbered by their order."""
    with PromptIndex() as index:
        for text in texts:
            index.add(text)
        return index.find()


def comparable_text(prompt: Prompt) -> str:
    """Returns a prompt's words in compatibility form (NFKC), case folded, one space between them.

    System messages are left out where others say something: what every prompt of a file begins with makes none alike.
    Of a prompt of more than 20,000 characters the two ends are kept.
    """
    said = [m.content for m in prompt.messages if m.role != "system"]
    text = _words(said) or _words([m.content for m in prompt.messages])
    return text if len(text) <= 2 * _LIMIT else f"{text[:_LIMIT]} {text[-_LIMIT:]}"


def jaccard(a: str, b: str) -> float:
    """The Jaccard similarity of two texts' sets of pieces of five characters, from 0 to 1."""
    one, other = _pieces(a), _pieces(b)
    return len(one & other) / len(one | other)


def confirmed_similarity(a: str, b: str) -> float:
    """The Jaccard similarity of two comparable texts, or 0 where one says another word in the other's place."""
    return jaccard(a, b) if same_words(a.split(), b.split()) else 0.0


def same_words(a: Sequence[str], b: Sequence[str]) -> bool:
    """Whether two lists of words differ by misspellings and by words added or left out only.

    Numbers and negations that were added or left out count as another word.
    """
    start = _shared(a, b)
    end = _shared(a[start:][::-1], b[start:][::-1])
    a, b = a[start : len(a) - end], b[start : len(b) - end]
    matcher = difflib.SequenceMatcher(None, a, b, autojunk=False)
    return all(_harmless(a[i:j], b[k:m]) for kind, i, j, k, m in matcher.get_opcodes() if kind != "equal")


def _shared(a: Sequence[str], b: Sequence[str]) -> int:
    """How many words both begin with."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _harmless(a: Sequence[str], b: Sequence[str]) -> bool:
    if not a or not b:
        return not any(word in _NEGATIONS or any(c.isdigit() for c in word) for word in (*a, *b))
    if "".join(a) == "".join(b):
        return True
    return len(a) == len(b) and all(x == y or _misspelt(x, y) for x, y in zip(a, b, strict=True))


def _misspelt(a: str, b: str) -> bool:
    """One letter more, less or other in a word of at least five, or two neighbours swapped in one of at least four."""
    short, long = sorted((a, b), key=len)
    if any(c.isdigit() for c in a + b) or len(long) - len(short) > 1 or len(short) < 4:
        return False
    i = next((i for i, (x, y) in enumerate(zip(short, long, strict=False)) if x != y), len(short))
    swapped = len(a) == len(b) and short[i : i + 2] == long[i : i + 2][::-1] and short[i + 2 :] == long[i + 2 :]
    rest = short[i + 1 :] if len(a) == len(b) else short[i:]
    return swapped or (len(long) >= 5 and rest == long[i + 1 :])


def _words(contents: Iterable[str]) -> str:
    return " ".join(
        word for content in contents for word in _WORD.findall(unicodedata.normalize("NFKC", content).casefold())
    )


def _pieces(text: str) -> set[str]:
    return {text[i : i + PIECE] for i in range(max(1, len(text) - PIECE + 1))}


def _signatures(texts: Sequence[str]) -> NDArray[np.uint16]:
    """The low 16 bits of 128 MinHash slots, (N, 128): two that differ look alike once in 65,536."""
    from rensa import RMinHash

    padded = [text.ljust(PIECE) for text in texts]
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    hashes = np.zeros(len(codes) - PIECE + 1, np.uint64)
    for k in range(PIECE):
        hashes = (hashes * _MIX[2] + codes[k : len(codes) - PIECE + 1 + k]) * _MIX[0]
    hashes ^= hashes >> np.uint64(29)
    hashes *= _MIX[1]
    hashes ^= hashes >> np.uint64(32)
    lengths = np.array([len(text) for text in padded])
    starts = np.concatenate([[0], np.cumsum(lengths)])
    inside = np.ones(len(codes), dtype=bool)  # a piece must not reach into the next text
    for k in range(1, PIECE):
        inside[starts[1:] - k] = False
    offsets = np.concatenate([[0], np.cumsum(lengths - PIECE + 1)])
    flat = hashes[np.flatnonzero(inside)]
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(flat, offsets.tolist(), SLOTS, _SEED)
    return (np.array(matrix.to_rows(), dtype=np.uint32) & 0xFFFF).astype(np.uint16)


def _candidates(signatures: NDArray[np.uint16]) -> IntArray:
    """Pairs that share a band, (Q, 2), the lower number first."""
    count = len(signatures)
    code = np.array([count, 1])
    found: list[IntArray] = [np.empty(0, np.int64)]
    for band in range(BANDS):
        keys = np.zeros(count, np.uint64)
        for slot in range(band * ROWS, (band + 1) * ROWS):
            keys = (keys * _MIX[2] + signatures[:, slot]) * _MIX[0]
            keys ^= keys >> np.uint64(31)
        order = np.argsort(keys, kind="stable")
        bounds = np.flatnonzero(np.concatenate([[True], keys[order][1:] != keys[order][:-1], [True]]))
        starts, sizes = bounds[:-1], np.diff(bounds)
        twos = np.sort(np.stack([order[starts[sizes == 2]], order[starts[sizes == 2] + 1]], axis=1), axis=1)
        found.append(twos @ code)
        for start, size in zip(starts[sizes > 2].tolist(), sizes[sizes > 2].tolist(), strict=True):
            found.append(_run_pairs(order[start : start + size], signatures, band) @ code)
        found = [np.unique(np.concatenate(found))]
    return np.stack([found[0] // max(count, 1), found[0] % max(count, 1)], axis=1)


def _run_pairs(members: IntArray, signatures: NDArray[np.uint16], band: int) -> IntArray:
    """All pairs of a bucket; in a large one each member with those that share the longest run of further slots."""
    size = len(members)
    if size <= _SMALL_RUN:
        i, j = np.triu_indices(size, k=1)
    else:
        turned = np.roll(signatures[members], -band * ROWS, axis=1)[:, ROWS : ROWS + 32]
        members = members[np.lexsort(turned.T[::-1])]
        i = np.repeat(np.arange(size), _WINDOW)
        j = i + np.tile(np.arange(1, _WINDOW + 1), size)
        i, j = i[j < size], j[j < size]
    pairs = np.stack([members[i], members[j]], axis=1)
    return np.sort(pairs, axis=1)


def _likely(signatures: NDArray[np.uint16], pairs: IntArray) -> tuple[IntArray, NDArray[np.float64]]:
    """The candidates whose estimated similarity is not far below the threshold, and the estimates."""
    estimates = np.empty(len(pairs))
    for start in range(0, len(pairs), 100_000):
        part = pairs[start : start + 100_000]
        estimates[start : start + len(part)] = (signatures[part[:, 0]] == signatures[part[:, 1]]).mean(axis=1)
    keep = estimates >= THRESHOLD - _MARGIN
    return pairs[keep], estimates[keep]


def _root(parents: list[int], i: int) -> int:
    while parents[i] != i:
        parents[i] = parents[parents[i]]
        i = parents[i]
    return i
