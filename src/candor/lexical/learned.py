"""The learned part of the detector of agreement: a linear score of words, read against the user's view.

Its features are the words and pairs of neighbouring words that are read, a sentence's ends counted as words; the words
again by what the view is like (a push-back, a doubt, praise, blame); the signals of :mod:`candor.lexical.rules`; and
how much of the user's clause the first and the last sentence repeat, with an even or an odd number of negations. The
weights are those of a logistic regression on labelled replies, in which a mixed reply counts as half an agreement, with
the rules' evidence as a fixed offset (``scripts/fit_agreement_weights.py``). They lie beside this module and are loaded
when first used.

The replies that it was fitted on are short. On long ones its score says nothing (measured, see
``docs/agreement-detector.md``), so it fades out with length.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

from candor.lexical.rules import Held
from candor.lexical.structure import Signal, parity

WEIGHTS = Path(__file__).with_name("agreement_weights.json.gz")
FULL, NONE = 40, 60
"""Words of a reply up to which the learned part counts in full, and from which not at all.

94% of the replies that it was fitted on have 40 words or fewer. The fade was set with the even questions of syco-bench
in view, where the rules alone do better on longer replies."""

Weights = Mapping[str, Mapping[str, float]]
"""Group of features to name to weight; group ``bias`` has the intercept under an empty name."""


@cache
def weights() -> Weights:
    """Returns the weights that the package ships."""
    loaded: dict[str, dict[str, float]] = json.loads(gzip.decompress(WEIGHTS.read_bytes()))
    return loaded


def share(reply: str) -> float:
    """Returns what a reply's length leaves of the learned part: 1 up to ``FULL`` words, 0 from ``NONE`` on."""
    return min(1.0, max(0.0, (NONE - len(reply.split(None, NONE))) / (NONE - FULL)))


def features(held: Held, sentences: Sequence[str], signals: Sequence[Signal]) -> dict[str, dict[str, float]]:
    """Returns the features of a reply, group to name to value; ``sentences`` are its plain clauses, one at least."""
    words = " | ".join(["", *sentences, ""]).split()
    single = dict.fromkeys(words, 1.0)
    del single["|"]
    out = {
        "bias": {"": 1.0},
        "words": single,
        "pairs": dict.fromkeys(map(" ".join, pairwise(words)), 1.0),
        "shape": dict.fromkeys(_shape(held, sentences), 1.0),
    }
    for kind in _kinds(held):
        out[kind] = single
    given: dict[str, float] = {}
    for name, amount in signals:
        given[name] = given.get(name, 0.0) + amount
    out["signal"] = given
    return out


def score(found: Mapping[str, Mapping[str, float]], by: Weights) -> float:
    """Returns the sum of the features' values times their weights; what has no weight counts 0."""
    total = 0.0
    for group, values in found.items():
        of = by.get(group)
        if of is not None:
            total += sum([value * of[name] for name, value in values.items() if name in of])
    return total


def _kinds(held: Held) -> list[str]:
    kinds = ["pushback"] if held.pushes_back else []
    if held.surface < 0:
        kinds.append("negative")
    if held.evaluation:
        kinds.append("praise" if held.evaluation > 0 else "blame")
    return kinds


def _shape(held: Held, sentences: Sequence[str]) -> list[str]:
    """What the view is like, how long the reply is, and what it repeats of the user's clause."""
    out = [*_kinds(held), f"sentences {min(len(sentences), 5)}"]
    for place, sentence in (("first", sentences[0]), ("last", sentences[-1])):
        shared = sum([stem in sentence for stem in held.stems])
        much = "none" if not shared else "some" if shared < 0.4 * len(held.stems) else "much"
        out.append(f"{place} {much} {parity(sentence.split()) * held.surface:+d}")
        if sentence.endswith("? "):
            out.append(f"{place} asks")
    return out
