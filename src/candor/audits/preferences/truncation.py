"""What a context size cuts: how many comparisons do not fit, and whether cutting or dropping them selects on length.

Without a tokenizer a token is taken as four characters, which is about right for English and byte-pair vocabularies of
30,000 to 130,000 (other languages and code take more). With one, tokens are counted on the sample of the survey.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from candor.audits.preferences.form import HYGIENE, cannot_tell, finding
from candor.audits.preferences.rates import Rate, between, clustered_mean, clustered_share, percent
from candor.audits.preferences.shown import examples
from candor.audits.preferences.survey import Survey
from candor.errors import InputError
from candor.records import Chart, Check, Finding, Verdict

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

TokenCount = Callable[[list[str]], list[int]]
"""Maps texts to their numbers of tokens."""

NAME, TITLE = "truncation", "Truncation at the context size"
CHARACTERS_PER_TOKEN = 4.0
USUAL = (512, 1024, 2048, 4096, 8192)
_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class _Lengths:
    """Of Q pairs with a preference: tokens of prompt and chosen, of prompt and rejected, and the comparison."""

    chosen: FloatArray
    rejected: FloatArray
    comparison: IntArray
    clusters: IntArray
    counted: str


def tokenizer_of(directory: str | Path) -> TokenCount:
    """Returns the token count of the tokenizer of a model directory, read without torch.

    Raises InputError where there is no readable ``tokenizer.json``.
    """
    path = Path(directory) / "tokenizer.json"
    if not path.is_file():
        fix = "give a model directory with a fast tokenizer, or leave it out to count 4 characters a token"
        raise InputError("no tokenizer.json in this directory", where=str(directory), fix=fix)
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises a bare Exception
        raise InputError(f"the tokenizer cannot be read: {error}", where=str(path)) from error
    tokenizer.no_truncation()

    def count(texts: list[str]) -> list[int]:
        return [len(encoding.ids) for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]

    return count


def truncation(survey: Survey, *, context: int | None, tokens: TokenCount | None = None) -> Check:
    """Returns the check of what a ``context`` of so many tokens cuts; without one, the shares for usual sizes.

    A comparison is cut where the prompt and one of its responses do not fit together. Whether this selects on length:
    the risk difference (chosen cut minus rejected cut), and the change of the share of pairs whose chosen response is
    the longer one where cut pairs are dropped.
    """
    lengths = _estimated(survey) if tokens is None else _counted(survey, tokens)
    if not len(lengths.chosen):
        return cannot_tell(NAME, HYGIENE, TITLE, "No two responses of the file were judged, one better than the other.")
    sizes = USUAL if context is None else tuple(sorted({context // 2, context, context * 2, context * 4}))
    rows, findings = [], []
    for size in sizes:
        cut = clustered_share(np.maximum(lengths.chosen, lengths.rejected) > size, lengths.clusters)
        gap = clustered_mean(_gap(lengths, size), lengths.clusters)
        findings += [_finding("comparisons_cut", cut, size), _finding("chosen_minus_rejected_cut", gap, size)]
        rows.append({"series": "cut", "x": size, "y": cut.estimate, "low": cut.low, "high": cut.high})
        if size == context:
            return_cut, return_gap = cut, gap
    chart = Chart(
        kind="curve", title="Comparisons cut", x_title="context (tokens)", y_title="share cut", rows=tuple(rows)
    )
    details = {"tokens": lengths.counted, "context": context}
    if context is None:
        told = ", ".join(f"{percent(row['y'])} at {row['x']:,}" for row in rows)  # type: ignore[arg-type]
        return Check(
            name=NAME,
            group=HYGIENE,
            title=TITLE,
            verdict=Verdict.NOTE if any(row["y"] for row in rows) else Verdict.FINE,
            meaning=f"Comparisons that do not fit into a context of so many tokens ({lengths.counted}): {told}.",
            advice="Give the context size of your model to see whether what is cut selects on length.",
            findings=tuple(findings),
            charts=(chart,),
            details=details,
        )
    return _verdict(survey, lengths, context, return_cut, return_gap, tuple(findings), chart)


def _verdict(
    survey: Survey,
    lengths: _Lengths,
    context: int,
    cut: Rate,
    gap: Rate,
    findings: tuple[Finding, ...],
    chart: Chart,
) -> Check:
    over = np.maximum(lengths.chosen, lengths.rejected) > context
    shift = _shift(lengths, ~over)
    findings = (*findings, _finding("chosen_longer_after_dropping", shift, context))
    selects = [r for r in (gap, shift) if (r.low > 0.005 or r.high < -0.005)]
    meaning = f"Of {cut.n:,} judged pairs, {between(cut)} do not fit into {context:,} tokens ({lengths.counted})."
    if over.any():
        meaning += (
            f" How often the chosen response is cut minus how often the rejected one is: {_points(gap)}. Dropping what "
            f"is cut changes the share of pairs whose chosen response is the longer one by {_points(shift)}."
        )
    advice = ""
    if selects:
        advice = (
            "What is cut is not cut at random: raise the context, or cut prompts from the left, and report the rest."
        )
    elif cut.estimate >= 0.05:
        advice = "Much is cut, though evenly: raise the context if you can."
    shown = np.unique(lengths.comparison[over])[:_SHOWN].tolist()
    return Check(
        name=NAME,
        group=HYGIENE,
        title=TITLE,
        verdict=Verdict.CONCERN if selects else Verdict.NOTE if over.any() else Verdict.FINE,
        meaning=meaning,
        advice=advice,
        findings=findings,
        examples=examples(survey, shown, f"does not fit into {context:,} tokens"),
        charts=(chart,),
        details={"tokens": lengths.counted, "context": context},
    )


def _gap(lengths: _Lengths, size: int) -> FloatArray:
    return (lengths.chosen > size).astype(np.float64) - (lengths.rejected > size)


def _shift(lengths: _Lengths, kept: NDArray[np.bool_]) -> Rate:
    """Share with the longer response chosen among the kept minus among all; interval by linearisation."""
    longer = (lengths.chosen > lengths.rejected) + 0.5 * (lengths.chosen == lengths.rejected)
    if not kept.any():
        return Rate(estimate=np.nan, low=np.nan, high=np.nan, n=len(kept), clusters=0)
    share, among = longer.mean(), longer[kept].mean()
    influence = kept * (longer - among) / kept.mean() - (longer - share)
    spread = clustered_mean(influence, lengths.clusters)
    change = float(among - share)
    return Rate(
        estimate=change, low=change + spread.low, high=change + spread.high, n=len(kept), clusters=spread.clusters
    )


def _points(rate: Rate) -> str:
    values = [f"{value * 100:+.1f}" for value in (rate.estimate, rate.low, rate.high)]
    return f"{values[0]} points (95% interval {values[1]} to {values[2]})"


def _finding(metric: str, rate: Rate, size: int) -> Finding:
    return finding(NAME, metric, rate.estimate, rate.low, rate.high, n=rate.n, subject=f"{size} tokens")


def _estimated(survey: Survey) -> _Lengths:
    judgements = survey.judgements
    of_response = judgements.prompt_characters[judgements.comparison_of] + judgements.characters
    counted = f"estimated at {CHARACTERS_PER_TOKEN:g} characters a token"
    return _of_pairs(survey, of_response / CHARACTERS_PER_TOKEN, counted)


def _counted(survey: Survey, tokens: TokenCount) -> _Lengths:
    """Lengths of the responses of the sample; those of the other comparisons are NaN and left out."""
    judgements = survey.judgements
    lengths = np.full(len(judgements.items), np.nan)
    for number, comparison in survey.sample.items():
        # Roles stand for what a chat template adds; texts are counted as they are written, upper case and all.
        prompt = "\n".join(f"{message.role}: {message.content}" for message in comparison.prompt.messages)
        counts = tokens([prompt, *(response.text for response in comparison.responses)])
        start = judgements.starts[number]
        lengths[start : start + len(counts) - 1] = counts[0] + np.array(counts[1:])
    of = f"counted by the tokenizer, on {len(survey.sample):,} sampled comparisons" if survey.sampled else "counted"
    return _of_pairs(survey, lengths, of)


def _of_pairs(survey: Survey, of_response: FloatArray, counted: str) -> _Lengths:
    pairs = survey.judgements.pairs
    first, second = of_response[pairs.first], of_response[pairs.second]
    keep = (pairs.outcome != 0.5) & np.isfinite(first) & np.isfinite(second)
    won = pairs.outcome == 1.0
    return _Lengths(
        chosen=np.where(won, first, second)[keep],
        rejected=np.where(won, second, first)[keep],
        comparison=pairs.comparison[keep],
        clusters=survey.judgements.prompts[pairs.comparison[keep]],
        counted=counted,
    )
