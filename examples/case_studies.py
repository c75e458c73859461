"""Public judgements as comparisons that Candor reads: translation ratings and side-by-sides, and sycophancy scores.

    python examples/case_studies.py DATA OUT

DATA holds the downloaded files in folders ``wmt_mqm`` (google/wmt-mqm-human-evaluation), ``syco_bench``
(timfduffy/syco-bench) and ``hh_rlhf_harmless_test`` (anthropics/hh-rlhf); OUT gets one ``.jsonl.gz`` a data set that is
not in a known format. Prints the table of docs/case-studies.md, which says what the audits found.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import sys
import tarfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from candor.auditing.preferences import audit_preferences
from candor.preferences.dialogues import content_id
from candor.preferences.formats import write_comparisons
from candor.records import Choice, Comparison, Completion, Judgement, Message, Prompt, Ratings

Rows = Iterable[Mapping[str, str]]

SIDE_BY_SIDE = (
    ("refA", "GPT4-5shot_with_refA"),
    ("ONLINE-W", "GPT4-5shot_with_ONLINE-W"),
    ("Lan-BridgeMT", "NLLB_MBR_BLEU"),
    ("ONLINE-A", "ONLINE-Y"),
    ("ONLINE-G", "ONLINE-M"),
)
"""The systems that raters saw beside each other: the two columns share the time stamps of their segments."""

_MARK = re.compile(r"</?v>")
csv.field_size_limit(10**8)


def penalty(category: str, severity: str) -> float:
    """The weight of one marked error (Freitag et al. 2021, Experts, Errors, and Context, table 4)."""
    if category.startswith("Non-translation"):
        return 25.0
    if severity == "Major":
        return 5.0
    if severity == "Minor":
        return 0.1 if category == "Fluency/Punctuation" else 1.0
    return 0.0


def mqm_ratings(rows: Rows, direction: str) -> Iterator[Comparison]:
    """One comparison per segment and rater who rated two or more systems on it; the rating is minus the penalty."""
    scores, texts, sources = _scored(rows)
    by_rater: dict[tuple[str, str, str], dict[str, float]] = defaultdict(dict)
    for (doc, segment, rater, system), score in scores.items():
        by_rater[doc, segment, rater][system] = score
    for (doc, segment, rater), rated in by_rater.items():
        systems = sorted(rated)
        if len(systems) > 1:
            responses = [(system, texts[doc, segment, system]) for system in systems]
            name = f"{direction}:{doc}:{segment}:{rater}"
            judgement = Ratings(scores=tuple(-rated[system] for system in systems))
            yield comparison(name, sources[doc, segment], responses, judgement, annotator=rater, source="wmt-mqm")


def mqm_side_by_side(rows: Rows) -> Iterator[Comparison]:
    """One choice per segment, rater and pair of systems seen side by side: fewer marked errors win, equal is a tie.

    The place on the screen is known where the rater marked an error on that side, and left out elsewhere.
    """
    kept = list(rows)
    scores, texts, sources = _scored(kept)
    shown = _sides(kept)
    for a, b in SIDE_BY_SIDE:
        for (doc, segment, rater, system), score in scores.items():
            other = scores.get((doc, segment, rater, b))
            if system != a or other is None:
                continue
            best = None if score == other else int(score > other)
            order = shown.get((doc, rater, a, b), ())
            responses = [(name, texts[doc, segment, name]) for name in (a, b)]
            yield comparison(
                f"sxs:{doc}:{segment}:{rater}:{a}",
                sources[doc, segment],
                responses,
                Choice(best=best, tie=best is None),
                annotator=rater,
                source="wmt-sxs",
                shown=order,
            )


def syco_bench(
    statement: str, response: str, judges: Callable[[Mapping[str, str]], list[float]], rows: Rows
) -> Iterator[Comparison]:
    """One comparison per statement and judge: the judge's scores of all models' responses to it.

    A score says how far the response goes along with the user: an audit has to find agreement rewarded.
    """
    answers: dict[str, dict[str, tuple[str, list[float]]]] = defaultdict(dict)
    for row in rows:
        answers[row[statement]][row["Name"]] = (row[response], judges(row))
    for number, (said, by_model) in enumerate(answers.items(), start=1):
        models = sorted(by_model)
        responses = [(model, by_model[model][0]) for model in models]
        for judge in range(min(len(by_model[model][1]) for model in models)):
            judgement = Ratings(scores=tuple(by_model[model][1][judge] for model in models))
            name = f"{response}:{number}:judge{judge + 1}"
            yield comparison(name, said, responses, judgement, annotator=f"judge{judge + 1}", source="syco-bench")


def comparison(
    name: str,
    prompt: str,
    responses: list[tuple[str, str]],
    judgement: Judgement,
    *,
    annotator: str,
    source: str,
    shown: tuple[int, ...] = (),
) -> Comparison:
    """A comparison of (system, text) responses to a one-message prompt."""
    messages = (Message(role="user", content=prompt),)
    asked = Prompt(id=content_id(messages, None), messages=messages)
    given = tuple(
        Completion(id=f"{name}/{system}", prompt_id=asked.id, text=text, policy=system) for system, text in responses
    )
    return Comparison(
        id=name,
        prompt=asked,
        responses=given,
        judgement=judgement,
        shown_order=shown,
        annotator=annotator,
        source=source,
    )


Key = tuple[str, str, str, str]


def _scored(rows: Rows) -> tuple[dict[Key, float], dict[tuple[str, str, str], str], dict[tuple[str, str], str]]:
    """Penalties by (document, segment, rater, system), targets by system, sources. Marked spans become plain text."""
    scores: dict[Key, float] = defaultdict(float)
    texts: dict[tuple[str, str, str], str] = {}
    sources: dict[tuple[str, str], str] = {}
    for row in rows:
        doc, segment, system = row["doc"], row.get("seg_id") or row["globalSegId"], row["system"]
        scores[doc, segment, row["rater"], system] += penalty(row["category"], row["severity"])
        texts.setdefault((doc, segment, system), _MARK.sub("", row["target"]))
        sources.setdefault((doc, segment), _MARK.sub("", row["source"]))
    return dict(scores), texts, sources


def _sides(rows: Rows) -> dict[tuple[str, str, str, str], tuple[int, int]]:
    """The order on screen of each pair, by (document, rater, pair): from the sides on which errors were marked."""
    partner = {name: (pair, place) for pair in SIDE_BY_SIDE for place, name in enumerate(pair)}
    seen: dict[tuple[str, str, str, str], set[tuple[int, int]]] = defaultdict(set)
    for row in rows:
        side = json.loads(row["metadata"] or "{}").get("side") if row.get("metadata") else None
        if side in (1, 2) and row["system"] in partner:
            pair, place = partner[row["system"]]
            order = (0, 1) if (side == 1) == (place == 0) else (1, 0)
            seen[row["doc"], row["rater"], *pair].add(order)
    return {key: next(iter(orders)) for key, orders in seen.items() if len(orders) == 1}


def _tsv(text: Iterable[str]) -> Iterator[dict[str, str]]:
    """Rows of a tab-separated file without quoting; the last named column takes what is left (notes on the file)."""
    reader = csv.reader(text, delimiter="\t", quoting=csv.QUOTE_NONE)
    head = [name for name in next(reader) if not name.startswith("#")]
    for row in reader:
        yield dict(zip(head, row, strict=False))


def _mirrored(row: Mapping[str, str]) -> list[float]:
    """Scores of a mirrored pair run from the first stance (negative) to the second; the user of the first holds it."""
    return [-score for score in _list(row["judge1_scores"])]


def _list(text: str) -> list[float]:
    return [float(value) for value in json.loads(text)]


SYCO: Mapping[str, tuple[str, str, Callable[[Mapping[str, str]], list[float]]]] = {
    "delusion": ("statement", "response", lambda row: [float(row[f"judge{i}_score"]) for i in (1, 2, 3)]),
    "mirror": ("userstance1", "response1", _mirrored),
    "whosaid": ("statement", "response_self", lambda row: _list(row["judge_scores_self"])),
}

FIGURES: Mapping[str, tuple[tuple[str, str, str, str], ...]] = {
    "hh": (
        ("what_labels_reward", "odds_ratio", "refusal", "refusing rewarded, odds ratio"),
        ("what_labels_reward", "odds_ratio", "log_words", "length (one SD, three times as long), odds ratio"),
        ("what_labels_reward", "odds_ratio", "first_person", "first person (one SD), odds ratio"),
        ("sycophancy", "odds_ratio", "agreement", "agreement with the user's view, odds ratio"),
        ("label_errors", "light_model_accuracy", "all", "held-out accuracy of words and style"),
        ("near_duplicates", "near_duplicate_prompts", "all", "near-duplicate prompts, share"),
    ),
    "wmt-side-by-side": (
        ("agreement", "pairwise_agreement", "all", "two raters agree, ties counted, share"),
        ("agreement", "krippendorff_alpha_nominal", "all", "Krippendorff's alpha"),
        ("position_bias", "share_first", "all", "first shown is preferred, share"),
        ("annotators", "flagged_annotators", "all", "raters flagged, share"),
        ("identical", "identical_responses", "all", "the same text twice, share"),
    ),
    "wmt-ratings-ende": (
        ("agreement_ratings", "krippendorff_alpha_ordinal", "all", "ratings, alpha by order"),
        ("identical", "identical_responses", "all", "the same text twice, share"),
        ("what_labels_reward", "odds_ratio", "log_words", "length (one SD), odds ratio"),
    ),
    "wmt-ratings-zhen": (
        ("agreement_ratings", "krippendorff_alpha_ordinal", "all", "ratings, alpha by order"),
        ("identical", "identical_responses", "all", "the same text twice, share"),
        ("what_labels_reward", "odds_ratio", "log_words", "length (one SD), odds ratio"),
    ),
    "syco-whosaid": (
        ("sycophancy", "odds_ratio", "agreement", "agreement with the user's view, odds ratio"),
        ("agreement_ratings", "krippendorff_alpha_ordinal", "all", "judges, alpha by order"),
    ),
    "syco-mirror": (
        ("sycophancy", "odds_ratio", "agreement", "agreement with the user's view, odds ratio"),
        ("agreement_ratings", "krippendorff_alpha_ordinal", "all", "judges, alpha by order"),
    ),
    "syco-delusion": (
        ("sycophancy", "odds_ratio", "agreement", "agreement with the user's view, odds ratio"),
        ("agreement_ratings", "krippendorff_alpha_ordinal", "all", "judges, alpha by order"),
    ),
}
"""What the page quotes of each audit: check, metric, subject, and the words for it."""


def convert(data: Path, out: Path) -> dict[str, Path]:
    """Writes one file a data set that is in no known format; returns the files of all by name."""
    mqm, syco = data / "wmt_mqm", data / "syco_bench"
    made: dict[str, Iterator[Comparison]] = {}
    for direction in ("ende", "zhen"):
        with gzip.open(mqm / f"mqm_ted_{direction}.tsv.gz", "rt", encoding="utf-8") as text:
            made[f"wmt-ratings-{direction}"] = mqm_ratings(list(_tsv(text)), direction)
    with tarfile.open(mqm / "sxs_mqm_generalMT2023_ende.3ratingsPerSegment.tsv.tar.gz") as archive:
        member = archive.extractfile(archive.getmembers()[0])
        if member is None:
            raise SystemExit("the side-by-side archive holds no file")
        made["wmt-side-by-side"] = mqm_side_by_side(list(_tsv(io.TextIOWrapper(member, encoding="utf-8"))))
    for name, (statement, response, scores) in SYCO.items():
        with gzip.open(syco / f"{name}_results.csv.gz", "rt", encoding="utf-8", newline="") as text:
            made[f"syco-{name}"] = syco_bench(statement, response, scores, list(csv.DictReader(text)))
    files = {"hh": data / "hh_rlhf_harmless_test" / "harmless-base_test.jsonl.gz"}
    for name, comparisons in made.items():
        files[name] = out / f"{name}.jsonl.gz"
        write_comparisons(files[name], comparisons)
    return files


def figures(name: str, file: Path) -> list[str]:
    """The rows of the page's table that one audit gives."""
    found = {(f.probe, f.metric, f.subject): f for check in audit_preferences(file).checks for f in check.findings}
    rows = []
    for check, metric, subject, words in FIGURES[name]:
        finding = found.get((check, metric, subject))
        if finding is None or finding.estimate is None:
            rows.append(f"| {name} | {words} | not measured | |")
            continue
        limits = "" if finding.ci_low is None else f" [{_short(finding.ci_low)}, {_short(finding.ci_high)}]"
        rows.append(f"| {name} | {words} | {_short(finding.estimate)}{limits} | {finding.n:,} |")
    return rows


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"


def main(data: Path, out: Path) -> None:
    """Converts, audits, and prints the table."""
    print("| data set | figure | estimate [95% interval] | n |\n|---|---|---|---|")
    for name, file in convert(data, out).items():
        print("\n".join(figures(name, file)), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
