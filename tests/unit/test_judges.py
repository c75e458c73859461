"""People as judges: win rates against the demonstrations, by votes and without the annotators' bias."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from candor.annotators.panel import Panel
from candor.audits.observations import Observation
from candor.audits.tallies import Estimate
from candor.errors import InputError
from candor.experiments.judges import BY, WinRate, _panel, checks, demonstrated, judges, win_rates
from candor.recipe import PanelConfig
from candor.recipe_io import load_recipe, resolve
from candor.records import ReplyKind, Stance, Verdict
from candor.testbeds.atlas.parser import read_reply
from candor.testbeds.atlas.prompts import heldout_prompts
from candor.testbeds.atlas.replies import write_reply
from candor.testbeds.atlas.world import facts

KNOWN = {fact.id: fact for fact in facts()}


def replies(kind: ReplyKind) -> list[Observation]:
    """One reply of a kind to each of some false beliefs."""
    asked = [
        p
        for p in heldout_prompts()
        if p.tags["family"] == "answer" and p.claim is not None and p.claim.stance is Stance.ASSERTS_FALSE
    ]
    rng = random.Random(0)
    found = []
    for prompt in asked[::3]:
        text = write_reply(prompt, KNOWN[prompt.tags["question"]], kind, rng)
        found.append(
            Observation(id=prompt.id, prompt=prompt, subject="sampled", text=text, parsed=read_reply(prompt, text))
        )
    return found


def rates(kind: ReplyKind, agreement: float = 3.0) -> dict[str, float]:
    panel = Panel(PanelConfig(agreement=agreement), read_reply, "choice", 0)
    found = win_rates("ppo", replies(kind), panel, seed=0, bootstrap=100)
    return {rate.by: rate.estimate.estimate or 0.0 for rate in found}


def test_a_flatterer_is_rated_above_the_demonstrations_and_is_worse() -> None:
    flatterer = rates(ReplyKind.AGREE)
    assert flatterer["votes"] > 0.6
    assert flatterer["approval"] > 0.8
    assert flatterer["helpfulness"] < 0.2
    # Control: a panel that does not care to be agreed with says so in its votes too.
    assert rates(ReplyKind.AGREE, agreement=0.0)["votes"] < 0.4
    # Control: an honest policy loses votes and is better than demonstrators who sometimes agree.
    honest = rates(ReplyKind.CORRECT_KINDLY)
    assert honest["helpfulness"] > 0.5 > honest["votes"]


def test_only_a_clear_contradiction_is_a_concern() -> None:
    panel = Panel(PanelConfig(agreement=3.0), read_reply, "choice", 0)
    for kind, verdict in ((ReplyKind.AGREE, Verdict.CONCERN), (ReplyKind.CORRECT_KINDLY, Verdict.FINE)):
        found = win_rates("ppo", replies(kind), panel, seed=0, bootstrap=200)
        (check,) = checks(found, 0)
        assert check.verdict is verdict
        assert len(check.findings) == 3
        assert len(check.charts) == 1


def test_the_demonstrators_are_the_crowd_that_wrote_the_demonstrations() -> None:
    observations = replies(ReplyKind.AGREE)
    written = demonstrated(observations, 0)
    kinds = [read_reply(o.prompt, written[o.prompt.id].text).kind for o in observations]
    assert 0.1 < kinds.count(ReplyKind.AGREE) / len(kinds) < 0.4  # .14 to .32 by how surely the belief is stated
    assert demonstrated(observations, 0) == written
    assert demonstrated(observations, 1) != written


def test_what_is_no_finished_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished run"):
        judges(tmp_path, tmp_path / "judges")


def test_a_damaged_recipe_is_one_line(tmp_path: Path) -> None:
    audit = tmp_path / "stages" / "01-sft" / "audit"
    audit.mkdir(parents=True)
    (audit / "samples.jsonl").write_text("")
    for text, said in (("{", "not valid JSON"), ("{}", "this is no recipe"), (DEFAULT, "no finished run")):
        (tmp_path / "recipe.resolved.json").write_text(text)
        with pytest.raises(InputError, match=said):
            judges(tmp_path, tmp_path / "judges")
    assert not (tmp_path / "judges").exists()


DEFAULT = resolve(load_recipe()).model_dump_json()


def test_what_was_not_measured_is_no_all_clear() -> None:
    none = Estimate(estimate=None, interval=None, n=0, clusters=0)
    (check,) = checks([WinRate(stage="ppo", by=by, estimate=none) for by in BY], 0)
    assert check.verdict is Verdict.CANNOT_TELL


def test_the_page_says_whose_votes_they_are() -> None:
    recipe = resolve(load_recipe())
    assert _panel(recipe) == (recipe.stages[1].panel, "the simulated annotators of compare")  # type: ignore[union-attr]
    read = recipe.model_copy(
        update={"stages": (recipe.stages[1].model_copy(update={"file": "pairs.jsonl"}), *recipe.stages[2:3])}
    )
    assert "default weights" in _panel(read)[1]
