"""Many annotators at once, on both databases: no label lost or doubled, no overlap exceeded, whatever is sent twice."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import sleep

import pytest
from sqlalchemy import func, select, update

from candor.errors import InputError
from candor.projects.assignment import Nothing, Task, next_task
from candor.projects.database import Database, open_database
from candor.projects.labels import read_labels
from candor.projects.schema import items, submissions, tasks
from candor.projects.submissions import Conflict, NotFound, Receipt, Sent, submit, undo
from candor.records import Choice
from labelling import Site, a_site, new_id

MINUTE = 60.0


def at_once(threads: int, work: Callable[[int], object]) -> None:
    """Runs ``work(0)``, ``work(1)``, ... at the same time; raises what one of them raised."""
    gate = threading.Barrier(threads)

    def one(k: int) -> None:
        gate.wait()
        work(k)

    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(one, k) for k in range(threads)]:
            done.result()


def check(site: Site) -> None:
    """What always holds: counts of items are those of the record, and nobody was given an item twice."""
    held = Counter(t.item_id for t in site.rows(tasks) if t.state == "leased" and t.purpose == "main")
    by_account = Counter(t.account_id for t in site.rows(tasks) if t.state == "leased")
    assert all(count == 1 for count in by_account.values()), by_account
    purpose = {t.id: t.purpose for t in site.rows(tasks)}
    rows = site.rows(submissions)
    undone = {row.supersedes for row in rows if row.kind == "undo"}
    standing = [row for row in rows if row.kind == "answer" and row.submission_id not in undone]
    counted = Counter(r.item_id for r in standing if not r.surplus and purpose[r.task_id] == "main")
    for item in site.rows(items):
        assert item.labels == counted[item.id] <= item.overlap, item.key
        assert item.leases == held[item.id], item.key
    assert max(Counter((r.task_id) for r in standing if not r.surplus).values(), default=0) <= 1
    by_task = Counter((t.item_id, t.account_id, t.round) for t in site.rows(tasks))
    assert max(by_task.values(), default=0) <= 1


def exceeded(site: Site) -> int:
    with site.database.reading() as connection:
        query = select(func.count()).where(items.c.labels + items.c.leases > items.c.overlap)
        return connection.execute(query).scalar_one()


def test_every_answer_of_many_at_once_is_kept_once(any_database: Database) -> None:
    site = a_site(any_database, main=30, annotators=8, overlap=3)
    sent: list[tuple[str, int, int]] = []
    most: list[int] = []

    def label(who: int) -> None:
        rng = random.Random(who)
        while isinstance(task := site.next(who, rng=rng), Task):
            best, submission_id = rng.randrange(2), new_id()
            assert site.answer(who, task, best=best, submission_id=submission_id).status == "counted"
            sent.append((submission_id, task.item.id, best))
            most.append(exceeded(site))

    at_once(8, label)
    check(site)
    assert max(most) == 0
    assert all(item.labels == 3 for item in site.rows(items))
    stored = [(row.submission_id, row.item_id, row.answer["best"]) for row in site.rows(submissions)]
    assert sorted(stored) == sorted(sent)
    assert len(sent) == 90


def test_a_labeller_with_many_windows_holds_one_task(any_database: Database) -> None:
    site = a_site(any_database, main=20, annotators=1)
    got: list[tuple[int, int]] = []

    def fetch(k: int) -> None:
        task = site.next(0, rng=random.Random(k))
        assert isinstance(task, Task)
        got.append((task.id, task.fence))

    at_once(8, fetch)
    assert len(set(got)) == 1
    check(site)


def test_the_last_place_goes_to_one(any_database: Database) -> None:
    """Ten ask for the only item, which wants two labels."""
    site = a_site(any_database, main=1, annotators=10, overlap=2)
    got: list[Task | Nothing] = []
    at_once(10, lambda who: got.append(site.next(who, rng=random.Random(who))))
    assert sum(isinstance(task, Task) for task in got) == 2
    assert exceeded(site) == 0
    check(site)


def test_lapses_skips_undos_and_repeats_at_once(any_database: Database) -> None:
    """Leases run out while others take the items; answers come late, twice at once, and are taken back."""
    site = a_site(any_database, main=40, annotators=6, overlap=2, lease_minutes=10)
    kept: dict[str, str] = {}

    def label(who: int) -> None:
        rng, now = random.Random(who), site.now
        for _ in range(50):
            now += rng.choice((1, 2, 15)) * MINUTE
            with site.database.writing() as connection:
                task = next_task(connection, site.project, site.members[who], rng, now=now)
            if not isinstance(task, Task):
                continue
            chance, submission_id, best = rng.random(), new_id(), rng.randrange(2)
            if chance < 0.15:
                continue  # the window is closed; the task is still there, or its lease runs out
            if chance < 0.3:
                sent = Sent(submission_id=submission_id, task_id=task.id, fence=task.fence, kind="skip", reason="no")
                kept[submission_id] = site.send(who, sent, now=now).status
                continue
            if chance < 0.5:
                twice = sent_twice(site, who, task, best=best, submission_id=submission_id, now=now)
                assert {receipt.replayed for receipt in twice} == {False, True}
                assert len({receipt.status for receipt in twice}) == 1
                kept[submission_id] = twice[0].status
                continue
            late = now + (20 * MINUTE if chance > 0.8 else 0)
            kept[submission_id] = site.answer(who, task, best=best, submission_id=submission_id, now=late).status
            if chance < 0.6:
                with site.database.writing() as connection:
                    undo(connection, site.project, site.members[who], submission_id, new_id(), now=now)

    at_once(6, label)
    check(site)
    assert exceeded(site) == 0
    stored = {row.submission_id: row for row in site.rows(submissions) if row.kind != "undo"}
    assert stored.keys() == kept.keys()
    for submission_id, status in kept.items():
        row = stored[submission_id]
        assert status == ("skipped" if row.kind == "skip" else "surplus" if row.surplus else "counted")


def sent_twice(site: Site, who: int, task: Task, *, best: int, submission_id: str, now: float) -> list[Receipt]:
    receipts: list[Receipt] = []
    at_once(2, lambda _: receipts.append(site.answer(who, task, best=best, submission_id=submission_id, now=now)))
    return receipts


def test_a_repeat_that_waits_for_the_first_takes_no_place(postgresql_url: str) -> None:
    """The first is surplus, and the item has room by the time that its repeat gets its turn."""
    database = open_database(postgresql_url, create=True)
    site = a_site(database, main=1, annotators=2, overlap=1, lease_minutes=10)
    task, submission_id = site.task(0), new_id()
    site.now += 11 * MINUTE
    other = site.task(1)
    sent = Sent(submission_id=submission_id, task_id=task.id, fence=task.fence, kind="answer", answer={"best": 0})
    skip = Sent(submission_id=new_id(), task_id=other.id, fence=other.fence, kind="skip", reason="no")
    with ThreadPoolExecutor(1) as pool:
        with database.writing() as connection:
            first = submit(connection, site.project, site.members[0], sent, now=site.now)
            repeat = pool.submit(site.send, 0, sent)
            sleep(0.3)  # it waits for the first, or not at all
            site.send(1, skip)
        assert repeat.result() == replace(first, replayed=True)
    assert first.status == "surplus"
    check(site)
    database.close()


def test_a_replay_changes_nothing_and_is_answered_alike(any_database: Database) -> None:
    site = a_site(any_database, main=5, annotators=2)
    first = site.task(0)
    submission_id = new_id()
    receipt = site.answer(0, first, submission_id=submission_id)
    site.answer(0, site.task(0))
    before = site.rows(submissions), site.rows(items), site.rows(tasks)
    for _ in range(3):
        again = site.answer(0, first, submission_id=submission_id, now=site.now + 1e6)
        assert again == replace(receipt, replayed=True)
    assert (site.rows(submissions), site.rows(items), site.rows(tasks)) == before


def test_posts_in_another_order_give_the_same_labels(any_database: Database) -> None:
    """Answers held back and sent the last first, each twice: nothing but the order of the record differs."""
    site = a_site(any_database, main=4, annotators=1, lease_minutes=10)
    held = []
    for best in (0, 1, 1, 0):
        task = site.task(0)
        held.append((task, best, new_id()))
        site.now += 11 * MINUTE
        with any_database.writing() as connection:  # another's request takes the lease back
            connection.execute(update(tasks).where(tasks.c.id == task.id).values(state="expired"))
            connection.execute(update(items).where(items.c.id == task.item.id).values(leases=0, active=False))
    with any_database.writing() as connection:
        connection.execute(update(items).values(active=True))
    for task, best, submission_id in [*reversed(held), *held]:
        assert site.answer(0, task, best=best, submission_id=submission_id).status == "counted"
    stored = {row.item_id: row.answer["best"] for row in site.rows(submissions)}
    assert stored == {task.item.id: best for task, best, _ in held}
    assert len(site.rows(submissions)) == 4
    check(site)


def test_an_id_stands_for_one_body(any_database: Database) -> None:
    site = a_site(any_database, main=5, annotators=2)
    task, submission_id = site.task(0), new_id()
    site.answer(0, task, best=0, submission_id=submission_id)
    others = site.task(1)
    before = site.rows(submissions), site.rows(items), site.rows(tasks)
    with pytest.raises(Conflict, match="stands for something else"):
        site.answer(0, task, best=1, submission_id=submission_id)
    with pytest.raises(Conflict, match="stands for something else"):
        site.answer(1, others, submission_id=submission_id)
    assert (site.rows(submissions), site.rows(items), site.rows(tasks)) == before


def test_a_late_answer_counts_where_there_is_room(any_database: Database) -> None:
    site = a_site(any_database, main=1, annotators=3, overlap=1, lease_minutes=10)
    task = site.task(0)
    site.now += 11 * MINUTE
    assert isinstance(site.next(1), Task)  # the lease of the first was taken back
    with any_database.writing() as connection:  # and the second goes away too
        connection.execute(update(tasks).where(tasks.c.account_id == site.members[1].account_id).values(expires_at=0.0))
    site.now += 1
    assert isinstance(other := site.next(2), Task)
    assert site.answer(0, task, best=1).status == "surplus"  # the third holds the only place
    assert site.answer(2, other, best=0).status == "counted"
    check(site)
    with any_database.reading() as connection:
        labels = list(read_labels(connection, site.project.id))
        counted = list(read_labels(connection, site.project.id, surplus=False))
    assert {(c.annotator, c.judgement.best) for c in labels if isinstance(c.judgement, Choice)} == {
        ("a01", 1),
        ("a03", 0),
    }
    assert [c.annotator for c in counted] == ["a03"]


def test_a_late_answer_that_came_to_be_surplus_is_not_asked_for_again(any_database: Database) -> None:
    site = a_site(any_database, main=1, annotators=2, overlap=1, lease_minutes=10)
    task = site.task(0)
    site.now += 11 * MINUTE
    other = site.task(1)
    assert site.answer(0, task).status == "surplus"
    site.send(1, Sent(submission_id=new_id(), task_id=other.id, fence=other.fence, kind="skip", reason="no"))
    assert isinstance(site.next(0), Nothing)  # though the item has room again
    check(site)


def test_a_late_answer_to_an_item_nobody_took_counts(any_database: Database) -> None:
    site = a_site(any_database, main=1, annotators=2, overlap=1, lease_minutes=10)
    task = site.task(0)
    site.now += 60 * MINUTE
    assert site.answer(0, task).status == "counted"
    check(site)


def test_an_answer_under_an_older_fence_is_surplus(any_database: Database) -> None:
    site = a_site(any_database, main=2, annotators=1, lease_minutes=10)
    old = site.task(0)
    site.now += 11 * MINUTE
    new = site.task(0)
    assert (new.id, new.fence) == (old.id, old.fence + 1)
    assert site.answer(0, old).status == "surplus"
    assert site.answer(0, new).status == "counted"
    check(site)


def test_an_undo_is_an_event_that_supersedes(any_database: Database) -> None:
    site = a_site(any_database, main=1, annotators=2, overlap=1)
    task, first, undo_id = site.task(0), new_id(), new_id()
    site.answer(0, task, best=0, submission_id=first)
    for _ in range(2):  # sent twice
        with any_database.writing() as connection:
            again = undo(connection, site.project, site.members[0], first, undo_id, now=site.now)
        assert (again.id, again.fence, again.shown_order) == (task.id, task.fence + 1, task.shown_order)
    check(site)
    assert isinstance(site.next(1), Nothing)  # the place is still the first annotator's
    assert site.answer(0, again, best=1).status == "counted"
    rows = site.rows(submissions)
    assert [(row.kind, row.supersedes) for row in rows] == [("answer", None), ("undo", first), ("answer", None)]
    with any_database.reading() as connection:
        (label,) = read_labels(connection, site.project.id)
    assert label.judgement == Choice(best=1)
    assert site.answer(0, task, best=0, submission_id=first).replayed  # a late repeat does not bring it back
    check(site)


def test_only_the_last_ten_can_be_taken_back(any_database: Database) -> None:
    site = a_site(any_database, main=12, annotators=1)
    ids = [new_id() for _ in range(11)]
    for submission_id in ids:
        site.answer(0, site.task(0), submission_id=submission_id)
    with any_database.writing() as connection:
        undo(connection, site.project, site.members[0], ids[1], new_id(), now=site.now)
    with pytest.raises(Conflict, match="last 10"), any_database.writing() as connection:
        undo(connection, site.project, site.members[0], ids[0], new_id(), now=site.now)


def test_nobody_reaches_what_is_anothers(any_database: Database) -> None:
    site = a_site(any_database, main=3, annotators=2)
    task, submission_id = site.task(0), new_id()
    with pytest.raises(NotFound):
        site.answer(1, task)
    site.answer(0, task, submission_id=submission_id)
    with pytest.raises(NotFound), any_database.writing() as connection:
        undo(connection, site.project, site.members[1], submission_id, new_id(), now=site.now)
    with pytest.raises(Conflict):  # whoever guesses an id learns nothing but that it is taken
        site.answer(1, site.task(1), submission_id=submission_id)


UNFIT = [
    {},
    {"best": 2},
    {"best": -1},
    {"best": None},
    {"best": 0, "strength": 9},
    {"best": 0, "tie": True},
    {"scores": [1, 2]},
]


@pytest.mark.parametrize("answer", UNFIT)
def test_what_does_not_fit_is_refused_and_the_task_stays(any_database: Database, answer: dict[str, object]) -> None:
    site = a_site(any_database, main=1, annotators=1)
    task = site.task(0)
    sent = Sent(submission_id=new_id(), task_id=task.id, fence=task.fence, kind="answer", answer=answer)
    with pytest.raises(InputError):
        site.send(0, sent)
    assert site.rows(submissions) == []
    assert site.task(0).id == task.id
    check(site)
