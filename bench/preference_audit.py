"""Time and memory of `candor audit preferences` on made-up files of 100,000 and 1,000,000 text pairs.

    python -m bench.preference_audit [--quick] [--pairs N ...]

Every pair has an annotator, an order, a time and two responses of about 100 words, a tenth of them with a view of the
user's, so that every check has something to do. Each file is audited by a process of its own, page included.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from candor.jsonl import write_rows
from candor.preferences.table import hash64

CHUNK = 2_000
ANNOTATORS = 200
OPENINGS = ("I think {}.", "I'm sure that {}.", "Isn't it true that {}?")
AGREEING = (
    "Yes, you are right: {}.",
    "Exactly, {}.",
    "No, that is not quite right: {} is a misconception.",
    "Well, {}.",
)
PHRASES = (
    "maybe",
    "it depends",
    "certainly",
    "please",
    "thank you",
    "great question",
    "**note**",
    "- a point",
    "sorry",
)


def pairs(count: int, seed: int = 0) -> Iterator[Mapping[str, Any]]:
    """Rows in Candor's own format; a twentieth of the prompts are judged three times."""
    rng = np.random.default_rng(seed)
    words = np.array([_word(rng) for _ in range(20_000)])
    shares = 1.0 / np.arange(1, len(words) + 1)
    cumulative = np.cumsum(shares / shares.sum())
    made = 0
    while made < count:
        lengths = rng.integers(60, 140, size=(CHUNK, 2))
        drawn = words[np.minimum(np.searchsorted(cumulative, rng.random((CHUNK, 300))), len(words) - 1)]
        for i in range(CHUNK):
            topic = " ".join(drawn[i, :12])
            view = rng.random() < 0.1
            question = OPENINGS[rng.integers(3)].format(topic) if view else f"What about {topic}?"
            texts = [_response(rng, drawn[i, 12:], int(lengths[i, side]), topic, view) for side in (0, 1)]
            for _ in range(3 if rng.random() < 0.05 else 1):
                if made == count:
                    return
                made += 1
                yield _row(rng, made, question, texts)


def _row(rng: np.random.Generator, number: int, question: str, texts: list[str]) -> Mapping[str, Any]:
    prompt = {"id": f"p{hash64(question) & 0xFFFFFFFF:x}", "messages": [{"role": "user", "content": question}]}
    better = len(texts[1]) - len(texts[0]) + 200 * rng.logistic()
    order = [0, 1] if rng.random() < 0.5 else [1, 0]
    return {
        "id": f"c{number}",
        "prompt": prompt,
        "responses": [{"id": f"r{i}", "prompt_id": prompt["id"], "text": text} for i, text in enumerate(texts)],
        "judgement": {"best": int(better > 0)},
        "shown_order": order,
        "annotator": f"a{rng.integers(ANNOTATORS):03d}",
        "seconds": round(float(np.exp(3 + 0.5 * rng.standard_normal())), 1),
    }


def _response(rng: np.random.Generator, drawn: np.ndarray, length: int, topic: str, view: bool) -> str:
    body = list(np.roll(drawn, rng.integers(len(drawn)))[:length])
    for place in rng.integers(length, size=rng.integers(4)):
        body[place] = PHRASES[rng.integers(len(PHRASES))]
    opening = AGREEING[rng.integers(len(AGREEING))].format(topic) + " " if view else ""
    return f"{opening}{' '.join(body)}."


def _word(rng: np.random.Generator) -> str:
    return "".join(rng.choice(list("aeioubcdfglmnprst"), size=rng.integers(2, 10)))


def audit(path: Path, out: Path) -> tuple[float, float]:
    """Seconds and peak resident memory (MiB) of one audit in a fresh process."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "candor", "audit", "preferences", str(path), "--out", str(out)],
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"the audit of {path} failed with status {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def main() -> None:
    """Prints one line of a markdown table per file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--quick", action="store_true", help="10,000 pairs")
    parser.add_argument("--keep", type=Path, help="keep the files and audits in this directory")
    options = parser.parse_args()
    print("| pairs | file | seconds | peak memory | checks |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        for count in [10_000] if options.quick else options.pairs:
            path = folder / f"{count}.jsonl"
            if not path.exists():
                write_rows(path, pairs(count))
            seconds, peak = audit(path, folder / f"audit-{count}")
            document = json.loads((folder / f"audit-{count}/audit.json").read_text())
            size = path.stat().st_size / 1e6
            print(
                f"| {count:,} | {size:.0f} MB | {seconds:.1f} | {peak:.0f} MiB | {len(document['checks'])} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
