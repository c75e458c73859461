"""Simulated people at the labelling service: texts whose features can be read, answers, times, gold, retests, the arm.

What people do is that of :mod:`bench.annotator_panel` (its weights, in logits); here they answer items with words in
them, so that everything downstream (features, agreement with a view, pay by words) works as it does on a project.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench.annotator_panel import Design, agreement_logit, assignment, length_logit, sigmoid
from candor.collect.quality.pay import Worked
from candor.projects.items import Gold, Trap
from candor.projects.labels import Judged
from candor.projects.pay import WORD
from candor.projects.settings import Settings
from candor.records import Choice, Completion, Message, Prompt

FloatArray = NDArray[np.float64]
Person = Literal["honest", "quick", "minority", "side", "flatterer", "length", "random", "speeder", "slow"]
"""``slow`` reads carefully and takes twice the expected time; the others are the panel's roles."""

_TEXT = """river stone market winter paper garden engine copper valley harbour bridge window letter forest island summer
kettle lantern orchard railway saddle timber velvet wagon meadow quarry cellar ladder basket chimney"""
WORDS = _TEXT.split()
TRAP_CYCLE: tuple[Trap, ...] = ("plain", "long_wrong", "polite_wrong", "flatters_wrong")
TEMPTED: dict[str, Trap] = {"flatterer": "flatters_wrong", "length": "long_wrong"}


@dataclass(frozen=True, kw_only=True)
class Batch:
    """How a batch is collected: per annotator so many ``judgements`` of open items (retests among them) and of gold.

    ``tempted``: how often who is drawn to a trap falls for it. ``reading``: visible over expected time of honest
    people. ``arm``: share of open items that have an arm; ``bias``: what stating the belief adds there (logits).
    """

    judgements: int = 120
    gold: int = 12
    gold_items: int = 40
    right: float = 0.92
    tempted: float = 0.75
    reading: float = 0.85
    pay_per_hour: float = 20.0
    arm: float = 0.0
    bias: float = 0.0
    panel: Design = field(default_factory=Design)

    @property
    def settings(self) -> Settings:
        return Settings(pay_per_hour=self.pay_per_hour)


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """The answers, what everybody did, and what each annotator is."""

    judged: list[Judged]
    workers: list[Worked]
    roles: dict[str, Person]


@dataclass(frozen=True, kw_only=True)
class Item:
    """An item's texts, and what an annotator weighs: response 0 less response 1."""

    key: str
    prompt: Prompt
    responses: tuple[Completion, Completion]
    length: float  # difference of log characters over its spread
    agrees: float  # 1: response 0 goes along with the user; -1: response 1 does; 0: nobody does, or no view


def simulate(roles: Counter[Person], batch: Batch, rng: np.random.Generator) -> Simulated:
    """A batch by people of these roles."""
    people: list[Person] = [role for role, count in sorted(roles.items()) for _ in range(count)]
    panel, total = batch.panel, len(people)
    again = round(batch.judgements * panel.retests)
    who, which = assignment(total, batch.judgements - again, panel.labels, rng)
    repeated = np.concatenate([rng.choice(np.flatnonzero(who == k), again, replace=False) for k in range(total)])
    who, which = np.concatenate([who, who[repeated]]), np.concatenate([which, which[repeated]])
    count = int(which.max()) + 1
    items = [an_item(n, mixed=n * 0.6180339887 % 1 < panel.mixed) for n in range(count)]
    role = np.array(people)
    length, agrees = np.array([i.length for i in items]), np.array([i.agrees for i in items])
    turned = rng.random(len(which)) < 0.5
    turned[-len(repeated) :] = ~turned[repeated]
    first_wins = _answers(role, who, which, length, agrees, turned, batch, rng)
    pace = _paces(people, batch, rng)
    judged = []
    for row, (k, n) in enumerate(zip(who, which, strict=True)):
        item, retest = items[n], row >= len(who) - len(repeated)
        judged.append(
            _judged(
                row, k, item, n, best=0 if first_wins[row] else 1, turned=bool(turned[row]), round=int(retest),
                seconds=_seconds(item, pace[k], batch, rng),
            )
        )  # fmt: skip
    judged += _gold(people, batch, pace, len(judged), count, rng)
    return Simulated(
        judged=judged,
        workers=workers_of(judged, batch.settings),
        roles={name(k): person for k, person in enumerate(people)},
    )


def _answers(
    role: NDArray[np.str_], who: NDArray[np.int64], which: NDArray[np.int64], length: FloatArray, agrees: FloatArray,
    turned: NDArray[np.bool_], batch: Batch, rng: np.random.Generator,
) -> NDArray[np.bool_]:  # fmt: skip
    """Whether response 0 is preferred, as in :func:`bench.annotator_panel.simulate`."""
    panel, total, items = batch.panel, len(role), len(length)
    quality = rng.normal(0, panel.quality, items)
    scale = np.exp(rng.normal(0, panel.scale, total))
    taste = rng.normal(panel.length, panel.length_spread, total)
    weight = rng.normal(agreement_logit(panel, panel.agreement_rate), panel.agree_spread, total)
    gamma = rng.normal(panel.side, panel.side_spread, total)
    weight[role == "flatterer"] = agreement_logit(panel, panel.flattery_rate, alike=True)
    taste[role == "length"] = length_logit(panel, panel.longer_rate)
    scale[np.isin(role, ("flatterer", "length"))] = 1.0
    gamma[role == "side"] = 0.0
    private = rng.normal(0, 1, (total, items))[who, which]
    shared = np.where(role[who] == "minority", panel.likeness, 1.0) * quality[which]
    missing = np.where(role[who] == "minority", np.sqrt(1 - panel.likeness**2) * panel.quality, 0.0)
    seen = shared + np.hypot(panel.own, missing) * private
    sign = np.where(turned, -1.0, 1.0)
    logit = scale[who] * seen + taste[who] * length[which] + weight[who] * agrees[which] + gamma[who] * sign
    chance = np.isin(role, ("random", "speeder"))[who]
    wins = rng.random(len(who)) < np.where(chance, 0.5, sigmoid(logit))
    clicks = (role[who] == "side") & (rng.random(len(who)) < 2 * panel.side_share - 1)
    return np.where(clicks, ~turned, wins)


def _paces(people: list[Person], batch: Batch, rng: np.random.Generator) -> FloatArray:
    """Visible over expected time of each annotator."""
    times: dict[str, float] = {"speeder": 1 / 4, "quick": 1 / 3, "slow": 2 / batch.reading, "random": 1 / 2}
    spread = np.exp(rng.normal(0, 0.2, len(people)))
    return batch.reading * spread * np.array([times.get(person, 1.0) for person in people])


def _gold(
    people: list[Person], batch: Batch, pace: FloatArray, row: int, count: int, rng: np.random.Generator
) -> list[Judged]:
    found = []
    for k, person in enumerate(people):
        for n in rng.choice(batch.gold_items, batch.gold, replace=False):
            trap = TRAP_CYCLE[int(n) % 4]
            right = 0.5 if person in ("random", "speeder") else batch.right
            if TEMPTED.get(person) == trap:
                right = 1 - batch.tempted
            turned = bool(rng.random() < 0.5)
            best = 0 if rng.random() < right else 1
            if person == "side" and rng.random() < 2 * batch.panel.side_share - 1:
                best = int(turned)
            item = gold_item(int(n))
            found.append(
                _judged(
                    row + len(found), k, item, count + int(n), best=best, turned=turned, kind="gold",
                    seconds=_seconds(item, pace[k], batch, rng), gold=Gold(answer=Choice(best=0), trap=trap),
                )
            )  # fmt: skip
    return found


def _judged(
    row: int, k: int, item: Item, number: int, *, best: int, turned: bool, seconds: float,
    round: int = 0, kind: Literal["main", "gold"] = "main", gold: Gold | None = None,
) -> Judged:  # fmt: skip
    return Judged(
        submission_id=f"s{row}", item_id=int(number) + 1, item_key=item.key, kind=kind,
        purpose="retest" if round else kind, round=round, account_id=int(k) + 1, handle=name(int(k)), batch=1,
        answer=Choice(best=best), shown_order=(1, 0) if turned else (0, 1), arm=None, propensity=None,
        drawn="uniform", seconds=seconds, total_seconds=seconds, focus_lost=0, received_at=1.8e9 + row, surplus=False,
        prompt=item.prompt, responses=item.responses, gold=gold, retest_of=None,
    )  # fmt: skip


def name(k: int) -> str:
    return f"a{k:03d}"


def expected_seconds(item: Item, settings: Settings) -> float:
    """As :func:`candor.projects.pay.expected_minutes`, in seconds."""
    characters = sum(len(m.content) for m in item.prompt.messages) + sum(len(r.text) for r in item.responses)
    return 60 * characters / WORD / settings.words_per_minute + settings.seconds_per_judgement


def _seconds(item: Item, pace: float, batch: Batch, rng: np.random.Generator) -> float:
    return float(expected_seconds(item, batch.settings) * pace * np.exp(rng.normal(0, 0.35) - 0.35**2 / 2))


def workers_of(judged: list[Judged], settings: Settings, skips: dict[str, int] | None = None) -> list[Worked]:
    """What everybody did, nothing skipped unless said."""
    found: dict[str, list[float]] = {}
    for one in judged:
        item = Item(key="", prompt=one.prompt, responses=one.responses, length=0, agrees=0)  # type: ignore[arg-type]
        sums = found.setdefault(one.handle, [0, 0.0, 0.0])
        sums[0] += 1
        sums[1] += expected_seconds(item, settings) / 60
        sums[2] += (one.seconds or 0.0) / 60
    return [
        Worked(name=n, judgements=int(c), skips=(skips or {}).get(n, 0), expected=e, visible=v)
        for n, (c, e, v) in sorted(found.items())
    ]


@lru_cache(maxsize=8192)
def an_item(number: int, *, mixed: bool) -> Item:
    """An open item. ``mixed``: the user states a view, and one reply goes along with it."""
    rng = np.random.default_rng([11, number])
    key = f"item/{number}"
    subject = f"{WORDS[number % len(WORDS)]} {WORDS[(number // len(WORDS)) % len(WORDS)]} {number}"
    middle, apart = rng.normal(0, 0.4), rng.normal(0, 1)
    bodies = [_body(rng, 60 * np.exp(middle + sign * 0.4 * apart / np.sqrt(2))) for sign in (1, -1)]
    agrees = 0.0
    if mixed:
        agrees = 1.0 if rng.random() < 0.5 else -1.0
        asked = f"I believe that the {subject} is a good choice. What do you think?"
        along = "I agree with you, that is right.", "I disagree, that is not right."
        openings = along if agrees > 0 else along[::-1]
    else:
        asked, openings = f"What can you tell me about the {subject}?", ("", "")
    closings = [" Thank you for asking, I hope this helps." if rng.random() < 0.3 else "" for _ in range(2)]
    texts = [f"{openings[n]} {bodies[n]}{closings[n]}".strip() for n in range(2)]
    length = np.log(len(texts[0]) / len(texts[1])) / (0.4 * np.sqrt(2))
    return _item(key, asked, texts, float(length), agrees)


@lru_cache(maxsize=1024)
def gold_item(number: int) -> Item:
    """A gold item, whose first response is right."""
    return _item(
        f"gold/{number}", f"What is fact {number}?", [f"It is fact {number}.", f"It is fiction {number}."], 0, 0
    )


def _item(key: str, asked: str, texts: list[str], length: float, agrees: float) -> Item:
    replies = tuple(Completion(id=f"{key}:{n}", prompt_id=key, text=text) for n, text in enumerate(texts))
    prompt = Prompt(id=key, messages=(Message(role="user", content=asked),))
    return Item(key=key, prompt=prompt, responses=(replies[0], replies[1]), length=length, agrees=agrees)


def _body(rng: np.random.Generator, words: float) -> str:
    chosen = rng.choice(WORDS, max(int(words), 4))
    lines = [" ".join(chosen[at : at + 12]) for at in range(0, len(chosen), 12)]
    return " ".join(f"The {line}." for line in lines)
