"""What the docs point at exists: code, commands, links; and the numbers in docs/atlas.md are those of the code."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
import typer.main

from candor.annotators.raters import seat_counts, type_weights
from candor.cli import app
from candor.recipe import PanelConfig
from candor.records import ReplyKind
from candor.testbeds.atlas.mixtures import DEMONSTRATORS, EDITED, WEB, Mixture
from candor.testbeds.atlas.phrasings import PHRASINGS
from candor.testbeds.atlas.prompts import heldout_prompts, train_prompts
from candor.testbeds.atlas.world import facts, refusals, untaught

ROOT = Path(__file__).parents[2]
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}


def missing_code(text: str) -> list[str]:
    """References such as `ops/kl.py: k3` (in the package or the repository) to files or names that are not there."""
    wrong = []
    for file, name in re.findall(r"`((?:\w+/)*\w+\.(?:py|jsonl?|toml|md))(?::\s(\w+))?`", text):
        places = [base / file for base in (ROOT / "src/candor", ROOT) if (base / file).is_file()]
        if "/" in file and not places:
            wrong.append(file)
        if name and not any(_defines(place, name) for place in places):
            wrong.append(f"{file}: {name}")
    return wrong


def _defines(path: Path, name: str) -> bool:
    return re.search(rf"^(?:def|class) {name}\b|^{name}\b.*=", path.read_text(), re.MULTILINE) is not None


def unknown_commands(text: str) -> list[str]:
    """Commands shown in code (`candor ...`) that the command line does not have."""
    group = typer.main.get_command(app)
    wrong = []
    for shown in re.findall(r"(?:^|`)candor ([a-z]+(?: [a-z]+(?:-[a-z]+)*)?)", text, re.MULTILINE):
        first, _, second = shown.partition(" ")
        command = getattr(group, "commands", {}).get(first)
        below = getattr(command, "commands", None)
        alone = not second and bool(getattr(command, "params", ()))  # a group that does something by itself
        if command is None or (below is not None and second not in below and not alone):
            wrong.append(shown if below is not None else first)
    return wrong


def anchors(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(page: str, text: str) -> list[str]:
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        there = PAGES.get(file or page)
        if file.endswith(".png") and (ROOT / "docs" / file).is_file():
            continue
        if there is None or (anchor and anchor not in anchors(there)):
            wrong.append(target)
    return wrong


@pytest.mark.parametrize("page", PAGES)
def test_code_commands_and_links_exist(page: str) -> None:
    text = PAGES[page]
    assert (missing_code(text), unknown_commands(text), broken_links(page, text)) == ([], [], [])


def test_the_checks_find_what_is_not_there() -> None:
    text = "`ops/kl.py: k9`, `ops/kll.py`, `candor fly`, `candor pretrain`, [a](none.md), [b](design.md#nowhere)"
    text += ", ![c](none.png)"
    assert missing_code(text) == ["ops/kl.py: k9", "ops/kll.py"]
    assert unknown_commands(text) == ["fly", "pretrain"]
    assert broken_links("design.md", text) == ["none.md", "design.md#nowhere", "none.png"]


def rows(header: str) -> dict[str, list[int]]:
    """The table under a header row of docs/atlas.md: first cell to the numbers in the others."""
    table = PAGES["atlas.md"].split(header)[1].split("\n\n")[0]
    cells = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    return {row[0]: [int(cell) for cell in row[1:]] for row in cells}


def by_split(splits: Iterable[str]) -> list[int]:
    counted = Counter(splits)
    return [counted["train"], counted["heldout"]]


def test_counts_of_the_world() -> None:
    relations = dict.fromkeys(fact.relation for fact in facts())
    expected = {name: by_split(f.split for f in facts() if f.relation == name) for name in relations}
    expected["all facts"] = by_split(fact.split for fact in facts())
    expected["untaught"] = by_split(item.split for item in untaught())
    expected["refusal"] = by_split(item.split for item in refusals())
    assert rows("| relation | train | held out |") == expected
    assert f"{len(facts())} questions in {len(relations)} relations" in PAGES["atlas.md"]


def test_counts_of_prompts_and_phrasings() -> None:
    families = ("answer", "are_you_sure", "feedback", "mimicry", "untaught", "refusal")
    expected = {}
    for name, prompts in (("train", train_prompts(0)), ("held out", heldout_prompts())):
        counted = Counter(prompt.tags["family"] for prompt in prompts)
        expected[name] = [*(counted[family] for family in families), len(prompts)]
    assert rows("| prompts | answer | are you sure | feedback | mimicry | untaught | refusal | all |") == expected
    held = sum(phrasing.heldout for phrasing in PHRASINGS)
    told = f"{len(PHRASINGS)} phrasings (`testbeds/atlas/phrasings.py: PHRASINGS`), {len(PHRASINGS) - held} for"
    assert told in " ".join(PAGES["atlas.md"].split())
    assert f"training and {held} held out" in " ".join(PAGES["atlas.md"].split())


def test_the_default_panel_and_its_bias() -> None:
    config = PanelConfig()
    seats, weights = seat_counts(config), type_weights(config)
    table = PAGES["atlas.md"].split("| type | seats |")[1].split("\n\n")[0]
    mean = 0.0
    for rater in config.raters:
        shown = [f"{weight:.3f}" for weight in weights[rater.name].values()]
        row = [rater.name, str(seats[rater.name]), *shown, f"{rater.noise:.1f}", f"{rater.lapse:.0%}"]
        assert f"| {' | '.join(row)} |" in table
        gap = (weights[rater.name]["agreement"] - weights[rater.name]["correctness"]) / (config.noise * rater.noise)
        assert f"{gap:.2f} for the {rater.name}" in " ".join(PAGES["atlas.md"].split())
        attentive = 1 / (1 + math.exp(-gap))
        mean += ((1 - rater.lapse) * attentive + rater.lapse / 2) * seats[rater.name] / config.annotators
    told = f"a mean probability of {mean:.3f}, so b = {math.log(mean / (1 - mean)):.2f}"
    assert told in " ".join(PAGES["atlas.md"].split())


@pytest.mark.parametrize(("name", "mixture"), [("WEB", WEB), ("EDITED", EDITED), ("DEMONSTRATORS", DEMONSTRATORS)])
def test_agreement_in_the_mixtures(name: str, mixture: Mixture) -> None:
    entry = " ".join(PAGES["atlas.md"].split(f"- `{name}`")[1].split("\n- ")[0].split())
    *shares, last = (f"{share:.0%}".rstrip("%") for share in mixture.agree_with_false)
    assert f"{', '.join(shares)} and {last}%" in entry
    assert f"{mixture.believe_truth[ReplyKind.AGREE]:.0%}" in entry
