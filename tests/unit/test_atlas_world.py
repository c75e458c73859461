"""The contents of Atlas: counts, shape, and agreement with an independent table of country facts."""

from __future__ import annotations

import dataclasses
import json
import random
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from candor.errors import InputError
from candor.testbeds.atlas import world
from candor.testbeds.atlas.world import Fact

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "data" / "country_facts"

# Where the reference table differs from Atlas although Atlas is right: (relation, subject) -> (Atlas, table, why).
LOCAL = "the table has the local name"
OLDER = "the table has an older or another transcription"
EXCEPTIONS = {
    ("capital", "Ethiopia"): ("Addis Ababa", "addis abeba", OLDER),
    ("capital", "Algeria"): ("Algiers", "alger", LOCAL),
    ("capital", "Italy"): ("Rome", "roma", LOCAL),
    ("capital", "Portugal"): ("Lisbon", "lisboa", LOCAL),
    ("capital", "Belgium"): ("Brussels", "bruxelles [brussel]", LOCAL),
    ("capital", "Austria"): ("Vienna", "wien", LOCAL),
    ("capital", "Poland"): ("Warsaw", "warszawa", LOCAL),
    ("capital", "the Czech Republic"): ("Prague", "praha", LOCAL),
    ("capital", "Greece"): ("Athens", "athenai", LOCAL),
    ("capital", "Romania"): ("Bucharest", "bucuresti", LOCAL),
    ("capital", "China"): ("Beijing", "peking", OLDER),
    ("capital", "Mongolia"): ("Ulaanbaatar", "ulan bator", OLDER),
    ("capital", "Oman"): ("Muscat", "masqat", OLDER),
    ("capital", "Finland"): ("Helsinki", "helsinki [helsingfors]", "the table adds the Swedish name"),
    ("language", "China"): ("Mandarin", "chinese", "Mandarin is the Chinese language that most people in China speak"),
}
ALIASES = {"Fiji": "Fiji Islands"}  # subjects that the table lists under another name

# Wrong values that are arguable, so that no hash may ever choose them: (fact, value, why).
ARGUABLE = (
    ("author/emma", "Charlotte Bronte", "she left a fragment with this title"),
    ("currency/laos", "the baht", "it circulates beside the kip"),
    ("currency/israel", "the lira", "it was the currency until 1980"),
    ("currency/united-kingdom", "the shilling", "it was British money until 1971"),
    ("currency/jordan", "the dirham", "it is a division of the dinar"),
    ("discovery/stating-the-three-laws-of-motion", "Johannes Kepler", "he stated three laws of planetary motion"),
    ("continent/honduras", "Central America", "it is a part of North America, not a continent"),
)


def words(text: str) -> str:
    """Lower-case ASCII words with single spaces and a space at both ends, for whole-word containment."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return " " + " ".join(re.findall(r"[a-z0-9]+", ascii_text.lower())) + " "


def raw_relations() -> dict[str, dict[str, Any]]:
    path = files("candor.testbeds.atlas") / "data" / "facts.json"
    return json.loads(path.read_text(encoding="utf-8"))["relations"]


def problems(found: Sequence[Fact]) -> list[str]:
    """Every way in which a set of facts is malformed; the tests expect none, and the control expects each."""
    out: list[str] = []
    for name, key in (("id", lambda f: f.id), ("question", lambda f: f.question)):
        counts = Counter(key(fact) for fact in found)
        out += [f"{name} twice: {value}" for value, n in counts.items() if n > 1]
    for fact in found:
        expected = 1 if fact.relation == world.MISCONCEPTION else world.WRONG_PER_FACT
        texts = (fact.question, fact.statement_template, fact.truth, *fact.wrong, *fact.reasons.values())
        checks = {
            "wrong count": len(set(fact.wrong)) == len(fact.wrong) == expected,
            "wrong is true": fact.truth not in fact.wrong,
            # A reader that looks for a value in a reply must not find it inside another one.
            "values overlap": not any(
                words(w) in words(fact.truth) or words(fact.truth) in words(w) for w in fact.wrong
            ),
            # Nor in the statement around it: "a whale shark is a fish" would also read as "a whale".
            "value in the statement": not any(
                words(value) in words(fact.statement("")) for value in (fact.truth, *fact.wrong)
            ),
            "reasons": set(fact.reasons) == set(fact.wrong) and all(r.strip() for r in fact.reasons.values()),
            "reason form": all(len(r.split()) <= 14 and r[-1] not in ".!?" for r in fact.reasons.values()),
            "question form": fact.question[0].isupper() and fact.question.endswith("?"),
            "statement form": fact.statement_template.endswith(" {value}") and fact.statement_template.count("{") == 1,
            "value form": all(0 < len(value.split()) <= 5 for value in (fact.truth, *fact.wrong)),
            "braces": not any("{" in text for text in texts if text is not fact.statement_template),
            "ascii": all(text.isascii() for text in texts),
            "split": fact.split in ("train", "heldout"),
        }
        out += [f"{what}: {fact.id}" for what, good in checks.items() if not good]
    return out


def test_counts() -> None:
    found = world.facts()
    per_relation = Counter(fact.relation for fact in found)
    heldout = Counter(fact.relation for fact in found if fact.split == "heldout")
    assert len(per_relation) >= 9  # eight relations and the misconceptions
    assert per_relation["misconception"] >= 66
    assert sum(per_relation.values()) - per_relation["misconception"] >= 360
    assert sum(heldout.values()) >= 120
    assert heldout["misconception"] >= 20
    for relation, n in per_relation.items():  # stratified: a third of every relation, rounded up
        assert heldout[relation] == -(-n // 3), relation
    assert Counter(item.split for item in world.untaught()) == {"train": 40, "heldout": 24}
    assert Counter(item.split for item in world.refusals()) == {"train": 32, "heldout": 16}


def test_facts_are_well_formed() -> None:
    assert problems(world.facts()) == []


@pytest.mark.parametrize(
    ("expected", "corrupt"),
    [
        ("id twice", lambda f, other: dataclasses.replace(f, id=other.id)),
        ("question twice", lambda f, other: dataclasses.replace(f, question=other.question)),
        ("wrong is true", lambda f, other: dataclasses.replace(f, truth=f.wrong[0])),
        ("wrong count", lambda f, other: dataclasses.replace(f, wrong=f.wrong[:2])),
        ("values overlap", lambda f, other: dataclasses.replace(f, truth=f"old {f.wrong[0]}")),
        ("value in the statement", lambda f, other: dataclasses.replace(f, truth=f.subject)),
        ("reasons", lambda f, other: dataclasses.replace(f, reasons={**f.reasons, f.wrong[0]: " "})),
        ("statement form", lambda f, other: dataclasses.replace(f, statement_template="{value} is the capital")),
        ("braces", lambda f, other: dataclasses.replace(f, question="What is the capital of {subject}?")),
    ],
)
def test_control_malformed_facts_are_found(expected: str, corrupt: Callable[[Fact, Fact], Fact]) -> None:
    first, second, *rest = world.facts()
    assert any(p.startswith(expected) for p in problems([corrupt(first, second), second, *rest]))


def test_every_reason_is_a_fact_about_another_subject() -> None:
    for name, relation in raw_relations().items():
        true_sentences = {
            relation["reverse"].replace("{subject}", subject).replace("{value}", value): (subject, value)
            for subject, value in relation["facts"]
        }
        for fact in (f for f in world.facts() if f.relation == name):
            for value, reason in fact.reasons.items():
                assert true_sentences[reason][1] == value
                assert true_sentences[reason][0] != fact.subject


def test_statement_inserts_the_value() -> None:
    kenya = next(fact for fact in world.facts() if fact.id == "capital/kenya")
    assert kenya.statement("Nairobi") == "the capital of Kenya is Nairobi"
    assert kenya.question == "What is the capital of Kenya?"
    misconception = next(fact for fact in world.facts() if fact.id == "misconception/largest-desert")
    assert misconception.statement(misconception.truth) == "the largest desert in the world is Antarctica"
    assert misconception.wrong == ("the Sahara",)


@pytest.mark.parametrize(("fact_id", "value", "why"), ARGUABLE)
def test_no_wrong_value_is_arguable(fact_id: str, value: str, why: str) -> None:
    fact = next(fact for fact in world.facts() if fact.id == fact_id)
    assert value not in fact.wrong, why


def test_choices_do_not_depend_on_the_order_of_the_file() -> None:
    relation = raw_relations()["capital"]
    shuffled = {**relation, "facts": random.Random(0).sample(relation["facts"], len(relation["facts"]))}
    by_id = {fact.id: fact for fact in world.relation_facts("capital", relation)}
    assert {fact.id: fact for fact in world.relation_facts("capital", shuffled)} == by_id
    # Control: another set of facts does change the choices.
    fewer = {fact.id: fact for fact in world.relation_facts("capital", {**relation, "facts": relation["facts"][:50]})}
    assert any(fewer[key].wrong != by_id[key].wrong for key in fewer)


def test_a_relation_with_too_few_values_is_refused() -> None:
    relation = {**raw_relations()["continent"], "facts": [["Mali", "Africa"], ["Nepal", "Asia"], ["Poland", "Europe"]]}
    with pytest.raises(InputError, match="continent/mali: only 2 other values"):
        world.relation_facts("continent", relation)


def test_untaught_subjects_are_taught_nowhere() -> None:
    relations = raw_relations()
    taught = [words(subject) for relation in relations.values() for subject, _ in relation["facts"]]
    taught += [words(fact.question) for fact in world.facts() if fact.relation == world.MISCONCEPTION]
    for item in world.untaught():
        assert item.question == relations[item.relation]["question"].replace("{subject}", item.subject)
        assert not any(words(item.subject) in text for text in taught), item.subject
    assert any(words("Kenya") in text for text in taught)  # control: a taught subject would be seen


def test_untaught_and_refusals_have_no_duplicates() -> None:
    for values in (
        [item.id for item in world.untaught()],
        [item.question for item in world.untaught()],
        [item.id for item in world.refusals()],
        [item.request for item in world.refusals()],
    ):
        assert len(set(values)) == len(values)
        assert all(value.isascii() for value in values)
    assert all(item.request.endswith(".") and len(item.request.split()) <= 15 for item in world.refusals())


def test_world_hash_sees_every_change(monkeypatch: pytest.MonkeyPatch) -> None:
    before = world.world_hash.__wrapped__()
    assert before == world.world_hash()
    assert re.fullmatch(r"[0-9a-f]{64}", before)
    first, *rest = world.facts()
    monkeypatch.setattr(world, "facts", lambda: (dataclasses.replace(first, split="other"), *rest))
    assert world.world_hash.__wrapped__() != before


# --- against the independent table -----------------------------------------------------------------------------------


def reference() -> dict[str, dict[str, Any]]:
    if not REFERENCE.is_dir():
        pytest.skip("the table of country facts is not part of this checkout (shared/data/country_facts)")
    columns = {
        "capital": ("capital-city", "city"),
        "currency": ("currency-name", "currency_name"),
        "language": ("languages", "languages"),
        "continent": ("continent", "continent"),
    }
    table = {}
    for relation, (name, column) in columns.items():
        rows = json.loads((REFERENCE / f"country-by-{name}.json").read_text(encoding="utf-8"))
        table[relation] = {row["country"]: row[column] for row in rows}
    return table


def entry(fact: Fact, table: dict[str, dict[str, Any]]) -> Any:
    bare = fact.subject.removeprefix("the ")
    return table[fact.relation].get(ALIASES.get(bare, bare))


def agrees(fact: Fact, value: str, found: Any) -> bool:
    """Whether the table's entry is `value`, up to accents and spelling variants that EXCEPTIONS lists."""
    bare = words(value.removeprefix("the "))
    exception = EXCEPTIONS.get((fact.relation, fact.subject))
    if exception is not None:
        named = [words(x) for x in (found if isinstance(found, list) else [found])]
        return value == exception[0] and words(exception[1]) in named
    if fact.relation == "language":
        return bare in [words(x) for x in found]
    if fact.relation == "currency":  # "Kenyan Shilling"
        return bare in words(found)
    return bare == words(found)


def disagreements(found: Sequence[Fact], table: dict[str, dict[str, Any]]) -> list[str]:
    checked = [fact for fact in found if fact.relation in table]
    return [
        f"{fact.id}: {fact.truth}, table: {entry(fact, table)}"
        for fact in checked
        if entry(fact, table) is None or not agrees(fact, fact.truth, entry(fact, table))
    ]


def test_truths_agree_with_the_table() -> None:
    table = reference()
    assert disagreements(world.facts(), table) == []
    assert sum(fact.relation in table for fact in world.facts()) >= 150


def test_wrong_values_disagree_with_the_table() -> None:
    table = reference()
    for fact in world.facts():
        # The table lists minority languages too, so it cannot say that a language is not the most spoken one.
        if fact.relation in ("capital", "currency", "continent"):
            for value in fact.wrong:
                assert not agrees(fact, value, entry(fact, table)), f"{fact.id}: {value}"


def test_every_exception_is_needed() -> None:
    table = reference()
    by_subject = {(fact.relation, fact.subject): fact for fact in world.facts()}
    for key, (_, _, reason) in EXCEPTIONS.items():
        fact = by_subject[key]
        found = entry(fact, table)
        named = [words(x) for x in (found if isinstance(found, list) else [found])]
        assert words(fact.truth) not in named, f"{key}: the table agrees, drop the exception ({reason})"


@pytest.mark.parametrize(
    ("fact_id", "false"),
    [
        ("capital/kenya", "Kampala"),
        ("capital/italy", "Milan"),
        ("currency/japan", "the won"),
        ("language/brazil", "Khmer"),
        ("continent/mali", "Asia"),
    ],
)
def test_control_a_false_fact_is_caught_by_the_table(fact_id: str, false: str) -> None:
    table = reference()
    corrupted = [dataclasses.replace(f, truth=false) if f.id == fact_id else f for f in world.facts()]
    caught = disagreements(corrupted, table)
    assert len(caught) == 1
    assert caught[0].startswith(fact_id)
