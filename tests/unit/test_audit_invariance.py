"""An audit of the same comparisons says the same, however the rows are sorted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from candor.audits.preferences import annotators, label_errors, learning_curve, light_model, position
from candor.audits.preferences.survey import Numbered, Survey, survey
from candor.preferences.table import TableBuilder
from candor.records import Check, Choice, Comparison, to_json
from judged import comparison
from made_up_pairs import word_pairs


def panel() -> list[Comparison]:
    """300 pairs by six annotators and three systems, half of them judged twice."""
    rng, data = np.random.default_rng(2), []
    for i, found in enumerate(word_pairs(300, seed=8)[0]):
        systems = rng.permutation(3)
        responses = tuple(replace(r, policy=f"s{k}") for r, k in zip(found.responses, systems[:2], strict=True))
        order = tuple(int(k) for k in rng.permutation(2))
        made = replace(found, responses=responses, shown_order=order, annotator=f"a{rng.integers(6)}", seconds=float(i))
        data += [made] if i % 2 else [made, replace(made, id=f"{i}b", annotator=f"a{rng.integers(6)}", seconds=0.5 + i)]
    return data


def read(data: list[Comparison], groups: bool = False) -> tuple[Survey, list[Check]]:
    """``groups``: of near-duplicate prompts, numbered as they come, as the collector of texts numbers them."""
    found = survey([Numbered(row=i + 1, comparison=c) for i, c in enumerate(data)])
    first = list(dict.fromkeys(found.judgements.prompts.tolist()))
    numbers = np.array([first.index(p) for p in found.judgements.prompts.tolist()]) if groups else None
    design = light_model.design(found, groups=numbers)
    checks = [*label_errors.checks(found, design), *learning_curve.checks(found, design)]
    return found, [*checks, *annotators.checks(found), *position.checks(found)]


def rounded(value: object) -> object:
    """JSON values to eight digits: sums in another order differ in the last one."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return float(f"{value:.8g}") if isinstance(value, float) else value


def without_rows(checks: list[Check]) -> object:
    """What was found, without the rows that are pointed at: those do depend on where they stand."""
    return [
        (
            c.name,
            c.verdict,
            c.meaning,
            *(rounded(to_json(x)) for x in (c.findings, c.charts, c.details.get("annotators"))),
        )
        for c in checks
    ]


def test_the_order_of_rows_changes_nothing() -> None:
    data = panel()
    turned = [data[i] for i in np.random.default_rng(5).permutation(len(data))]
    for groups in (False, True):
        assert without_rows(read(data, groups)[1]) == without_rows(read(turned, groups)[1])


def test_annotators_and_policies_are_numbered_by_name() -> None:
    table = TableBuilder()
    for row, name in enumerate(("zoe", "ann", "")):
        table.add(comparison(Choice(best=0), annotator=name), row=row)
    made = table.build()
    assert made.annotator_names == ("ann", "zoe")
    assert made.annotators.tolist() == [1, 0, -1]
