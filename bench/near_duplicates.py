"""Near-duplicate prompts: time, memory, and what is found of planted edits: ``python -m bench.near_duplicates``.

Prompts are made of words with Zipf's frequencies, 5 to 150 words long. One in ten gets a near-duplicate by one of the
edits below; one in ten belongs to a family of questions that differ in a name only, which must not be called
duplicates. ``--quick`` takes 20,000 prompts, otherwise 1,000,000. The table says, by edit, the share found (recall)
and the similarity of the two; the last row says how many of the groups that were found had not been planted.
"""

from __future__ import annotations

import argparse
import random
import resource
import time
from collections.abc import Callable

import numpy as np

from candor.preferences.near_duplicates import PromptIndex, comparable_text, jaccard
from candor.records import Message, Prompt

LETTERS = "etaoinshrdlucmfwypvbgkqjxz"


def _vocabulary(rng: random.Random, size: int = 20_000) -> list[str]:
    return ["".join(rng.choices(LETTERS, weights=range(26, 0, -1), k=rng.randint(2, 10))) for _ in range(size)]


def _sentences(rng: np.random.Generator, vocabulary: list[str], count: int) -> list[str]:
    lengths = rng.integers(5, 151, size=count)
    words = np.minimum(rng.zipf(1.3, size=int(lengths.sum())), len(vocabulary)) - 1
    ends = np.cumsum(lengths)
    return [
        " ".join(vocabulary[w] for w in words[e - n : e].tolist()) for n, e in zip(lengths, ends.tolist(), strict=True)
    ]


def _typo(words: list[str], rng: random.Random) -> list[str]:
    long = [i for i, word in enumerate(words) if len(word) >= 5]
    if long:
        i, k = rng.choice(long), rng.randint(1, 3)
        words[i] = words[i][:k] + words[i][k + 1] + words[i][k] + words[i][k + 2 :]
    return words


def _added(words: list[str], rng: random.Random) -> list[str]:
    at = rng.randint(0, len(words))
    return [*words[:at], "really", *words[at:]]


def _left_out(words: list[str], rng: random.Random) -> list[str]:
    at = rng.randrange(len(words))
    return words[:at] + words[at + 1 :]


def _other_word(words: list[str], rng: random.Random) -> list[str]:
    at = rng.randrange(len(words))
    return [*words[:at], "zanzibar", *words[at + 1 :]]


EDITS: dict[str, Callable[[list[str], random.Random], list[str]]] = {
    "case, punctuation, spacing": lambda words, rng: [word.upper() + ", " for word in words],
    "a typo": _typo,
    "three typos": lambda words, rng: _typo(_typo(_typo(words, rng), rng), rng),
    "a word added": _added,
    "a word left out": _left_out,
    "'please' at the end": lambda words, rng: [*words, "please"],
    "last tenth cut off": lambda words, rng: words[: max(1, round(len(words) * 0.9))],
    "another word (no duplicate)": _other_word,
}


def _prompt(text: str) -> Prompt:
    return Prompt(id="", messages=(Message(role="user", content=text),))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    count = 20_000 if parser.parse_args().quick else 1_000_000
    rng, numbers = random.Random(1), np.random.default_rng(1)
    vocabulary = _vocabulary(rng)
    templates = [" ".join(rng.choices(vocabulary, k=25)) for _ in range(20)]
    planted: list[tuple[str, int, int]] = []
    spent, number, template_rows = 0.0, 0, []
    with PromptIndex() as index:
        while number < count:
            texts = _sentences(numbers, vocabulary, 1000)
            made = [(text, "", -1) for text in texts[:800]]
            for i, text in enumerate(texts[:100]):
                edit = list(EDITS)[i % len(EDITS)]
                made.append((" ".join(EDITS[edit](text.split(), rng)), edit, i))
            made += [
                (f"{rng.choice(templates)} {''.join(rng.choices(LETTERS, k=8))}", "template", -1) for _ in range(100)
            ]
            start, first = time.perf_counter(), number
            for text, edit, source in made:
                number = index.add(comparable_text(_prompt(text)))
                if edit == "template":
                    template_rows.append(number)
                elif edit:
                    planted.append((edit, first + source, number))
            spent += time.perf_counter() - start
            number += 1
        start = time.perf_counter()
        found = index.find()
        searched = time.perf_counter() - start
        _report(index, found.groups, found.sizes, planted, template_rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\n{number:,} prompts: {spent:.0f} s to read, {searched:.0f} s to search, peak {peak:.0f} MB, ", end="")
    print(f"{found.unchecked:,} candidates unchecked")


def _report(
    index: PromptIndex,
    groups: np.ndarray,
    sizes: np.ndarray,
    planted: list[tuple[str, int, int]],
    template_rows: list[int],
) -> None:
    print("| edit | planted | found | mean similarity |\n|---|---|---|---|")
    partners = np.zeros(len(groups), dtype=bool)
    for edit in EDITS:
        pairs = [(a, b) for name, a, b in planted if name == edit]
        together = [groups[a] == groups[b] for a, b in pairs]
        partners[[i for pair in pairs for i in pair]] = "no duplicate" not in edit
        alike = np.mean([jaccard(index.text(a), index.text(b)) for a, b in pairs[:300]])
        print(f"| {edit} | {len(pairs)} | {np.mean(together):.3f} | {alike:.2f} |")
    wrongly = np.mean(sizes[template_rows] > 1)
    print(f"| other names in a template (no duplicate) | {len(template_rows)} | {wrongly:.4f} | |")
    print(f"| nothing planted | {int((~partners).sum())} | {np.mean(sizes[~partners] > 1):.5f} | |")


if __name__ == "__main__":
    main()
