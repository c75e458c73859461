"""Public judgements as comparisons: the conversion of a few hand-made rows."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from candor.records import Choice, Ratings

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples/case_studies.py"
DATA = ROOT.parent / "shared/data"
PAGE = ROOT / "docs/case-studies.md"


@pytest.fixture(scope="module")
def studies() -> ModuleType:
    spec = importlib.util.spec_from_file_location("case_studies", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def error(system: str, rater: str, category: str, severity: str, side: int | None = None) -> dict[str, str]:
    return {
        "system": system,
        "doc": "d",
        "globalSegId": "1",
        "rater": rater,
        "source": "A <v>source</v>.",
        "target": f"Ein <v>Ziel</v> von {system}.",
        "category": category,
        "severity": severity,
        "metadata": json.dumps({} if side is None else {"side": side}),
    }


def test_errors_weigh_as_published(studies: ModuleType) -> None:
    assert studies.penalty("Accuracy/Mistranslation", "Major") == 5
    assert studies.penalty("Style/Awkward", "Minor") == 1
    assert studies.penalty("Fluency/Punctuation", "Minor") == pytest.approx(0.1)
    assert studies.penalty("Non-translation!", "Major") == 25
    assert studies.penalty("No-error", "No-error") == 0


def test_side_by_side_fewer_errors_win_and_the_side_comes_from_the_marks(studies: ModuleType) -> None:
    rows = [
        error("refA", "r1", "Accuracy/Mistranslation", "Major", side=2),
        error("GPT4-5shot_with_refA", "r1", "Style/Awkward", "Minor", side=1),
        error("refA", "r2", "No-error", "No-error"),
        error("GPT4-5shot_with_refA", "r2", "No-error", "No-error"),
    ]
    first, second = studies.mqm_side_by_side(rows)
    assert first.judgement == Choice(best=1)
    assert first.shown_order == (1, 0)
    assert first.responses[0].text == "Ein Ziel von refA."
    assert second.judgement == Choice(best=None, tie=True)
    assert second.shown_order == ()


def test_ratings_are_minus_the_penalty_within_one_rater(studies: ModuleType) -> None:
    rows = [
        error("a", "r1", "Accuracy/Omission", "Major"),
        error("a", "r1", "Style/Awkward", "Minor"),
        error("b", "r1", "No-error", "No-error"),
        error("b", "r2", "No-error", "No-error"),
    ]
    (made,) = studies.mqm_ratings(rows, "ende")
    assert made.judgement == Ratings(scores=(-6.0, 0.0))
    assert made.annotator == "r1"


def test_a_mirrored_score_is_turned_towards_the_user(studies: ModuleType) -> None:
    rows = [
        {"userstance1": "I believe A.", "response1": text, "Name": name, "judge1_scores": scores}
        for name, text, scores in (("m", "Yes, A.", "[-4.0, -5.0]"), ("n", "No, B.", "[3.0, 2.0]"))
    ]
    first, second = studies.syco_bench(*studies.SYCO["mirror"], rows)
    assert first.judgement == Ratings(scores=(4.0, -3.0))
    assert second.judgement == Ratings(scores=(5.0, -2.0))
    assert [r.policy for r in first.responses] == ["m", "n"]


@pytest.mark.skipif(not DATA.is_dir(), reason="the public data sets are not on this machine")
def test_the_page_quotes_what_the_audits_find(studies: ModuleType, tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    table = text.split("<!-- figures: start -->")[1].split("<!-- figures: end -->")[0]
    for name, file in studies.convert(DATA, tmp_path).items():
        if name in ("hh", "wmt-side-by-side", "syco-whosaid"):  # the others take their time and show no other code
            assert [line for line in table.splitlines() if line.startswith(f"| {name} |")] == studies.figures(
                name, file
            )


def test_every_data_set_of_the_page_has_figures(studies: ModuleType) -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name, wanted in studies.FIGURES.items():
        assert sum(line.startswith(f"| {name} |") for line in text.splitlines()) == len(wanted)
