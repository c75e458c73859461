"""Pay by expected minutes: what is owed, what an hour came to, who skips more than the others."""

from __future__ import annotations

import math

import pytest
from bench.collect_pay import REGIMES, WAYS, earnings
from bench.collect_people import Batch, an_item, expected_seconds

from candor.collect.quality.pay import Worked, effective_hourly, hourly, pay_document, rule, skips_much
from candor.projects.settings import Settings

RATE = Settings(pay_per_hour=20.0, currency="EUR")


def someone(
    name: str = "ann", *, judgements: int = 90, skips: int = 10, expected: float = 60, visible: float = 50
) -> Worked:
    return Worked(name=name, judgements=judgements, skips=skips, expected=expected, visible=visible)


def test_pay_is_minutes_times_the_rate() -> None:
    document = pay_document([someone()], RATE)
    assert document["rows"] == [
        {
            "name": "ann", "judgements": 90, "skips": 10, "minutes": 60, "visible_minutes": 50,
            "amount": 20.0, "hourly": 24.0,
        }
    ]  # fmt: skip
    assert document["currency"] == "EUR"
    assert "never by agreement" in document["rule"]


def test_without_a_rate_or_time_nothing_is_made_up() -> None:
    row = pay_document([someone()], Settings())["rows"][0]
    assert row["amount"] is None
    assert row["hourly"] is None
    assert hourly(someone(visible=0), RATE) is None
    assert "No rate" in rule(Settings())
    assert not effective_hourly([someone()], Settings()).known


def test_the_effective_rate_is_total_pay_over_total_time() -> None:
    found = effective_hourly([someone("a", expected=60, visible=60), someone("b", expected=60, visible=180)], RATE)
    assert found.estimate == pytest.approx(40 / 4)
    assert found.low < found.estimate < found.high
    assert not effective_hourly([someone()], RATE).known  # of one annotator nothing follows for others
    same = effective_hourly([someone(str(k)) for k in range(4)], RATE)
    assert (same.low, same.high) == pytest.approx((24.0, 24.0))


def test_who_skips_nearly_everything_is_named_and_honest_spread_is_not() -> None:
    panel = [someone(f"a{k}", judgements=100 - k, skips=k) for k in range(12)]
    assert skips_much(panel) == []
    assert skips_much([*panel, someone("skipper", judgements=20, skips=80)]) == ["skipper"]
    assert skips_much([someone("skipper", judgements=2, skips=98)]) == []  # alone, nobody is the odd one out
    assert skips_much([]) == []


def test_expected_seconds_of_the_simulation_are_the_services() -> None:
    from candor.projects.items import Item
    from candor.projects.pay import expected_minutes

    made = an_item(3, mixed=True)
    item = Item(
        id=1, project_id=1, key=made.key, kind="main", batch=1, pool=None, prompt=made.prompt, responses=made.responses,
        gold=None, hidden=None, overlap=3, labels=0, leases=0, active=True,
    )  # fmt: skip
    assert expected_seconds(made, RATE) == pytest.approx(60 * expected_minutes(item, RATE))


def test_what_each_way_of_paying_invites() -> None:
    batch, by_name = Batch(), {way.name: way for way in WAYS}
    piece, in_full, ours = REGIMES[0], REGIMES[2], REGIMES[4]
    honest = earnings(by_name["careful"], piece, batch)
    assert honest == pytest.approx(1 / batch.reading)
    short, everything = by_name["skips the longer half"], by_name["skips nearly everything"]
    assert earnings(short, piece, batch) > 1.1 * honest  # a piece rate pays for choosing short items
    assert earnings(everything, in_full, batch) > 5 * honest  # skips in full pay for skipping
    assert earnings(short, ours, batch) <= honest
    assert earnings(everything, ours, batch) <= honest
    assert earnings(by_name["rushes"], ours, batch) > 2 * honest  # only checks answer rushing
    assert math.isclose(earnings(by_name["rushes"], ours, batch), earnings(by_name["rushes"], piece, batch))
