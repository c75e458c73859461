"""``candor audit preferences`` as a function: one pass over a file, every check, the document and the page."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from candor.auditing.changes import changes
from candor.auditing.describe import NAMES, ResponseFeatures
from candor.auditing.examples import with_texts
from candor.auditing.facts import data_facts
from candor.audits.preferences import (
    agreement,
    annotators,
    clarity,
    hygiene,
    label_errors,
    learning_curve,
    light_model,
    menu,
    position,
    transitivity,
    what_labels_reward,
)
from candor.audits.preferences.seen_texts import SeenTexts, TextFacts
from candor.audits.preferences.survey import Survey, survey
from candor.audits.preferences.truncation import TokenCount, tokenizer_of
from candor.pipeline.progress import Reporter, Silent
from candor.preferences.containers import check_source
from candor.preferences.formats import ComparisonStream, Dropped, Numbered, stream_comparisons
from candor.preferences.near_duplicates import PromptIndex
from candor.projects.reference import as_file
from candor.protocols import AgreementReader
from candor.records import Check, to_json
from candor.results.checks import Checked, checked

EVERY = 1_000
"""Comparisons between two signs of life."""


def audit_preferences(
    source: str | Path,
    *,
    out: str | Path | None = None,
    against: str | Path | None = None,
    context: int | None = None,
    tokenizer: str | Path | None = None,
    seed: int = 0,
    skip_bad: bool = False,
    reader: AgreementReader | None = None,
    tell: Reporter | None = None,
) -> Checked:
    """Reads a file of comparisons in any known format, puts every check to it, and returns what they found.

    ``source`` may also name a project of a labelling database (``collect.db#slug``), whose labels are then read.

    ``out``: a directory for ``audit.json`` and the page; nothing is written where it is None. ``against``: another
    file, the state before filtering, say: audited too and set beside the first. ``context``: the size in tokens at
    which truncation is looked for, counted by the ``tokenizer`` of a model directory or at 4 characters a token.
    ``reader`` tells whether a response goes along with the user's view (a judge, say); the lexical one by default.
    Raises InputError for a file that cannot be read and a place that cannot be written to.
    """
    began, tell = time.monotonic(), tell or Silent()
    tokens = None if tokenizer is None else tokenizer_of(tokenizer)
    audit = _Audit(context=context, tokens=tokens, seed=seed, skip_bad=skip_bad, reader=reader, tell=tell)
    with ExitStack() as files, PromptIndex() as index:
        path = files.enter_context(as_file(source))
        before_path = None if against is None else files.enter_context(as_file(against))
        if before_path is not None:
            check_source(before_path)  # before the first file, which may take minutes
        seen = SeenTexts(index)
        main = audit.read(source, path, seen)
        other = None if against is None or before_path is None else audit.read(against, before_path, seen.other())
        texts = seen.read()
        checks = audit.checks(main, texts, None if other is None else other.survey)
        compared = None
        if other is not None and texts.other is not None:
            before = audit.checks(other, texts.other)
            compared = {
                "source": other.source,
                "data": other.facts,
                "checks": to_json(before),
                "changes": changes(before, checks),
            }
    return checked(
        "preferences",
        str(source),
        checks,
        seed=seed,
        data=main.facts,
        seconds=time.monotonic() - began,
        against=compared,
        out=None if out is None else Path(out),
    )


@dataclass(frozen=True, kw_only=True)
class _Read:
    source: str
    path: str | Path
    survey: Survey
    facts: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Audit:
    context: int | None
    tokens: TokenCount | None
    seed: int
    skip_bad: bool
    reader: AgreementReader | None
    tell: Reporter

    def read(self, source: str | Path, path: str | Path, seen: SeenTexts) -> _Read:
        """One pass over a file; ``source`` is how it is called."""
        stream = stream_comparisons(path, skip_bad=self.skip_bad)
        self.tell.start(f"reading {source}")
        found = survey(
            self._counted(stream),
            describe=ResponseFeatures(self.reader),
            feature_names=NAMES,
            collectors=[seen],
            seed=self.seed,
        )
        self.tell.finish(f"{len(found.judgements):,} comparisons")
        found = replace(
            found,
            source=str(source),
            format=stream.format,
            rows=stream.rows,
            dropped=_counts(stream.dropped),
            bad=_counts(stream.bad),
        )
        return _Read(source=str(source), path=path, survey=found, facts=data_facts(stream, found))

    def checks(self, read: _Read, texts: TextFacts, other: Survey | None = None) -> list[Check]:
        """Every check of one file, its examples with their texts."""
        found: list[Check] = []
        for name, ask in self._questions(read.survey, texts, other):
            self.tell.start(name)
            found += ask()
            self.tell.finish()
        return with_texts(read.path, found, skip_bad=self.skip_bad)

    def _questions(
        self, found: Survey, texts: TextFacts, other: Survey | None
    ) -> Iterator[tuple[str, Callable[[], list[Check]]]]:
        """What is asked, in the order in which it is told."""
        yield (
            "hygiene",
            lambda: hygiene.checks(found, texts=texts, context=self.context, tokens=self.tokens, other=other),
        )
        yield "agreement", lambda: agreement.checks(found)
        yield "annotators", lambda: annotators.checks(found)
        yield "what the labels reward", lambda: what_labels_reward.checks(found)
        yield "position", lambda: position.checks(found)
        yield "transitivity", lambda: transitivity.checks(found)
        yield "menus", lambda: menu.checks(found)
        yield "clarity", lambda: clarity.checks(found)
        data = light_model.design(found, groups=texts.groups)
        yield "label errors", lambda: label_errors.checks(found, data)
        yield "learning curve", lambda: learning_curve.checks(found, data)

    def _counted(self, stream: ComparisonStream) -> Iterator[Numbered]:
        for count, item in enumerate(stream, start=1):
            if count % EVERY == 0:
                share = stream.share
                self.tell.update(count, {} if share is None else {"share": share})
            yield item


def _counts(reasons: Mapping[str, Dropped]) -> Mapping[str, int]:
    return {reason: dropped.count for reason, dropped in reasons.items()}
