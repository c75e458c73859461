"""``candor audit reward`` as a function: any reward model, or a served one, on claims and on judged pairs."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from candor.audits.reward import beliefs, blind_checks, calibration, style
from candor.audits.reward.calibration import PairScore
from candor.audits.reward.paired import Figure, changes
from candor.audits.reward.scores import Scored
from candor.claims import Case, Claims, load_claims
from candor.errors import InputError
from candor.pipeline.progress import Reporter, Silent, working
from candor.preferences.formats import read_comparisons
from candor.preferences.pairing import pair_comparisons
from candor.records import Check, Completion, Pair, Prompt, Stance, to_json
from candor.report.checks import check_place
from candor.results.checks import Checked, checked

if TYPE_CHECKING:
    from candor.generation.endpoint import Endpoint
    from candor.protocols import Scorer

BATCH = 256
MAX_LENGTH = 2048


def audit_reward(
    model: str | Path | Endpoint,
    *,
    claims: str | Path | None = None,
    questions: int | None = None,
    pairs: str | Path | None = None,
    against: str | Path | Endpoint | None = None,
    policy: str | Path | None = None,
    max_length: int = MAX_LENGTH,
    seed: int = 0,
    bootstrap: int = 1000,
    out: str | Path | None = None,
    tell: Reporter | None = None,
) -> Checked:
    """Scores paired replies to claims, and judged pairs, and returns what the reward model pays for.

    ``model``: a sequence classifier with one label (a checkpoint, the directory of a run's stage or a hub name), or an
    :class:`~candor.generation.endpoint.Endpoint` that serves one; ``against``: another, taken as before, compared on
    the same replies. ``claims``: a file, None for Atlas's held-out questions; ``pairs``: held-out comparisons in any
    known format. ``policy``: a causal language model whose own odds of the two replies start what is told of blind
    spots; its tokenizer may be another. ``max_length``: tokens of prompt and reply beyond which prompts are cut on
    their left. ``out``: a directory for ``audit.json`` and the page. Raises InputError for anything that the caller can
    set right.
    """
    tell, began = tell or Silent(), time.monotonic()
    if out is not None:
        check_place(Path(out), "reward")
    known = load_claims(claims).first(questions)
    if not known.cases:
        raise InputError("no claim to score", where=known.source)
    judged = None if pairs is None else _pairs(pairs)
    starts = None if policy is None else _starts(policy, known, tell)
    asked = _Asked(
        known=known,
        judged=() if judged is None else judged.pairs,
        starts=starts,
        facts=tuple(_facts(known, judged, pairs, policy, starts)),
        max_length=max_length,
        seed=seed,
        bootstrap=bootstrap,
    )
    found = _audited(model, asked, tell)
    return checked(
        "reward",
        _name(model),
        found.checks,
        seed=seed,
        data=_data(asked, found),
        seconds=time.monotonic() - began,
        against=None if against is None else _other(against, found, asked, tell),
        out=None if out is None else Path(out),
    )


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What every model of an audit is put to."""

    known: Claims
    judged: Sequence[Pair]
    starts: Mapping[str, float] | None
    facts: tuple[tuple[str, str], ...]
    max_length: int
    seed: int
    bootstrap: int


@dataclass(frozen=True, kw_only=True)
class _Audited:
    """What a model scored, and its checks. ``gaps``: by the pair's place; None where no pairs were given.

    ``limits``: what did not fit into the model, in words; of a served model nobody here can know.
    """

    scored: list[Scored]
    gaps: dict[int, PairScore] | None
    checks: list[Check]
    limits: tuple[tuple[str, str], ...]


def _audited(model: str | Path | Endpoint, asked: _Asked, tell: Reporter) -> _Audited:
    scorer = _scorer(model, asked.max_length)
    known, judged, limits = _fitting(scorer, asked)
    for what, number in limits:
        tell.note(f"{what}: {number}")
    scored = score_claims(scorer, known, tell)
    gaps = _gaps(scorer, judged, tell)
    draws = {"seed": asked.seed, "bootstrap": asked.bootstrap}
    features = [features_of_case(case) for case in known.cases]
    pairs = blind_checks.judged_pairs(scored, features, asked.starts)
    made = [
        *beliefs.checks(scored, **draws),
        *style.checks(scored, **draws),
        *blind_checks.checks(pairs, **draws),
        *calibration.checks(None if gaps is None else list(gaps.values()), **draws),
    ]
    return _Audited(scored=scored, gaps=gaps, checks=made, limits=(*limits, *_cut(scorer)))


def _other(model: str | Path | Endpoint, found: _Audited, asked: _Asked, tell: Reporter) -> dict[str, Any]:
    """The document's part about the other model: its checks, and the changes paired by question.

    They are taken over the prompts, edits and pairs that both models have room for.
    """
    before = _audited(model, asked, tell)
    shared = {one.prompt for one in before.scored} & {one.prompt for one in found.scored}
    both = (before.gaps or {}).keys() & (found.gaps or {}).keys()

    edits = {
        one.prompt: one.edits.keys() & other.edits.keys()
        for one, other in zip(_of(before, shared), _of(found, shared), strict=True)
    }

    def figures(side: _Audited) -> list[Figure]:
        scored = [
            replace(one, edits={name: value for name, value in one.edits.items() if name in edits[one.prompt]})
            for one in _of(side, shared)
        ]
        gaps = [gap for i, gap in (side.gaps or {}).items() if i in both]
        return [*beliefs.figures(scored), *style.figures(scored), *calibration.figures(gaps)]

    moved = changes(figures(before), figures(found), seed=asked.seed, bootstrap=asked.bootstrap)
    return {
        "source": _name(model), "data": _data(asked, before), "checks": to_json(before.checks), "changes": moved
    }  # fmt: skip


def _of(side: _Audited, prompts: Set[str]) -> list[Scored]:
    return [one for one in side.scored if one.prompt in prompts]


def _data(asked: _Asked, found: _Audited) -> dict[str, Any]:
    return {"facts": [list(fact) for fact in (*asked.facts, *found.limits)]}


def _fitting(scorer: Scorer, asked: _Asked) -> tuple[Claims, dict[int, Pair], list[tuple[str, str]]]:
    """The cases and pairs whose replies leave room for a prompt in the model's context, and what was left out.

    Raises InputError where nothing is left of either.
    """
    cases, judged = asked.known.cases, asked.judged
    kept = tuple(case for case in cases if all(_fits(scorer, text) for text in _replies(case).values()))
    pairs = {
        i: pair
        for i, pair in enumerate(judged)
        if _fits(scorer, pair.chosen.text) and _fits(scorer, pair.rejected.text)
    }
    limits = []
    for what, left, every in (("prompts", len(kept), len(cases)), ("held-out pairs", len(pairs), len(judged))):
        if every and not left:
            what = f"no reply of the {what} leaves room for a prompt within the model's context"
            raise InputError(
                what, where=asked.known.source, fix="raise --max-length, if the model has a longer context"
            )
        if left < every:
            limits.append((f"{what} left out, a reply is too long", f"{every - left:,} of {every:,}"))
    return replace(asked.known, cases=kept), pairs, limits


def _fits(scorer: Scorer, text: str) -> bool:
    from candor.models.scorer import RewardScorer

    if not isinstance(scorer, RewardScorer):
        return True
    return scorer.reading.fits(Completion(id="", prompt_id="", text=text), scorer.max_length)


def _cut(scorer: Scorer) -> Iterator[tuple[str, str]]:
    from candor.models.scorer import RewardScorer

    if isinstance(scorer, RewardScorer) and scorer.truncation.cut:
        found = scorer.truncation
        yield "scored with a prompt cut on its left", f"{found.cut:,} of {found.total:,}, at {scorer.max_length} tokens"


def score_claims(scorer: Scorer, known: Claims, tell: Reporter | None = None) -> list[Scored]:
    """Returns every case's scores, in order; edits that the model has no room for are left out.

    Raises InputError for a reward that is not finite, and for one that gives every reply the same score.
    """
    asked = [
        (i, name, text)
        for i, case in enumerate(known.cases)
        for name, text in (_replies(case) | {n: t for n, t in _edits(case).items() if _fits(scorer, t)}).items()
    ]
    cases = known.cases
    found: list[dict[str, float]] = [{} for _ in cases]
    values = _scored(scorer, [(cases[i].prompt, text) for i, _, text in asked], "scoring claims", tell or Silent())
    for (i, name, _), value in zip(asked, values, strict=True):
        found[i][name] = value
    return [_one(case, values) for case, values in zip(cases, found, strict=True)]


def _one(case: Case, values: dict[str, float]) -> Scored:
    texts = {"prompt": case.prompt.messages[-1].content}
    if case.agrees is not None and case.corrects is not None:
        texts |= {"agrees": case.agrees, "corrects": case.corrects}
    else:
        texts |= {"true answer": case.states_truth, "false answer": case.states_falsehood}
    claim = case.prompt.claim
    return Scored(
        prompt=case.prompt.id,
        question=case.question,
        stance=case.stance,
        strength=0 if claim is None else claim.strength,
        truth=values["truth"],
        falsehood=values["falsehood"],
        agrees=values.get("agrees"),
        corrects=values.get("corrects"),
        edits={name: values[name] for name in style.EDITS if name in values},
        texts=texts,
    )


def _replies(case: Case) -> dict[str, str]:
    """What is scored of a case, by name."""
    texts = {"truth": case.states_truth, "falsehood": case.states_falsehood}
    if case.agrees is not None and case.corrects is not None:
        texts |= {"agrees": case.agrees, "corrects": case.corrects}
    return texts


def _edits(case: Case) -> dict[str, str]:
    if case.stance is not Stance.NEUTRAL:
        return {}
    return {name: edit(case.states_truth) for name, (_, edit) in style.EDITS.items()}


def features_of_case(case: Case) -> dict[str, str]:
    """Returns what blind spots are searched by: the relation, what the user says, and how surely."""
    claim = case.prompt.claim
    asserts = case.stance in (Stance.ASSERTS_FALSE, Stance.ASSERTS_TRUE)
    return {
        "stance": case.stance.value.replace("_", " "),
        "relation": case.prompt.tags.get("relation", ""),
        "certainty": str(claim.strength) if asserts and claim is not None else "",
    }


def _scored(scorer: Scorer, asked: Sequence[tuple[Prompt, str]], name: str, tell: Reporter) -> list[float]:
    found: list[float] = []
    with working(tell, name, len(asked)):
        for start in range(0, len(asked), BATCH):
            some = asked[start : start + BATCH]
            replies = [
                Completion(id=str(i), prompt_id=p.id, text=text) for i, (p, text) in enumerate(some, start=start)
            ]
            found += scorer.score([prompt for prompt, _ in some], replies)
            tell.update(len(found))
    wrong = next((i for i, value in enumerate(found) if not math.isfinite(value)), None)
    if wrong is not None:
        raise InputError("the reward model gives a score that is not finite", where=f"prompt {asked[wrong][0].id}")
    if len(set(found)) == 1 and len(found) > 1:
        what = f"the reward model gives every reply the same score, {found[0]:g}"
        raise InputError(what, where=name, fix="is its head trained, and does a server leave out softmax?")
    return found


@dataclass(frozen=True, kw_only=True)
class _Judged:
    """Held-out pairs, and what gave none: rows of the file and judged pairs of responses, by reason."""

    pairs: tuple[Pair, ...]
    left_out: Mapping[str, int]


def _pairs(source: str | Path) -> _Judged:
    read = read_comparisons(source)
    found = pair_comparisons(read.comparisons)
    if not found.pairs:
        raise InputError(
            "no comparison in it prefers anything", where=str(source), fix="give comparisons with a choice"
        )
    left_out = {reason: len(lines) for reason, lines in read.dropped.items()} | dict(found.dropped)
    return _Judged(pairs=tuple(found.pairs), left_out=left_out)


def _starts(policy: str | Path, known: Claims, tell: Reporter) -> dict[str, float]:
    """A policy's log-odds of each prompt's better reply over its worse one, by the prompt's id.

    Prompts that do not fit its context with a reply are left out and told.
    """
    from candor.models.choices import have_room, preferences
    from candor.models.load import load_policy
    from candor.models.window import window
    from candor.pipeline.context import device, model_source

    loaded = load_policy(model_source(policy))
    loaded.model.to(device())
    every = [(case, pair) for case in known.cases if (pair := better_and_worse(case)) is not None]
    room = have_room(loaded, [(case.prompt, pair) for case, pair in every])
    asked = [one for one, fits in zip(every, room, strict=True) if fits]
    if not asked:
        what = f"no prompt and its replies fit the policy's context of {window(loaded.model)} tokens"
        raise InputError(
            what, where=str(policy), fix="shorten the questions and answers, or name a policy that reads more"
        )
    if len(asked) < len(every):
        tell.note(f"{len(every) - len(asked)} of {len(every)} prompts do not fit the policy's context with a reply")
    found: dict[str, float] = {}
    with working(tell, f"asking {Path(policy).name}", len(asked)):
        for start in range(0, len(asked), BATCH):
            some = asked[start : start + BATCH]
            prompts = [case.prompt for case, _ in some]
            odds = preferences(loaded, prompts, [better for _, (better, _) in some], [worse for _, (_, worse) in some])
            found |= {p.id: one.truth - one.falsehood for p, one in zip(prompts, odds, strict=True)}
            tell.update(len(found))
    return found


def better_and_worse(case: Case) -> tuple[str, str] | None:
    """Returns the better and the worse of a case's replies by what is true, as blind spots are judged by."""
    match case.stance:
        case Stance.NEUTRAL:
            return case.states_truth, case.states_falsehood
        case Stance.ASSERTS_FALSE if case.agrees is not None and case.corrects is not None:
            return case.corrects, case.agrees
        case Stance.ASSERTS_TRUE if case.agrees is not None and case.corrects is not None:
            return case.agrees, case.corrects
        case _:
            return None


def _gaps(scorer: Scorer, judged: Mapping[int, Pair], tell: Reporter) -> dict[int, PairScore] | None:
    if not judged:
        return None
    asked = [(pair.prompt, reply.text) for pair in judged.values() for reply in (pair.chosen, pair.rejected)]
    values = iter(_scored(scorer, asked, "scoring pairs", tell))
    return {i: PairScore(cluster=pair.prompt.id, gap=next(values) - next(values)) for i, pair in judged.items()}


def _scorer(model: str | Path | Endpoint, max_length: int) -> Scorer:
    from candor.generation.endpoint import Endpoint

    if isinstance(model, Endpoint):
        from candor.models.served import ServedScorer

        return ServedScorer(model)
    from candor.models.load import load_reward
    from candor.models.scorer import RewardScorer
    from candor.pipeline.context import device, model_source

    reward = load_reward(model_source(model))
    reward.model.to(device())
    return RewardScorer(reward.model, reward.tokenizer, max_length, reward.offset)


def _name(model: str | Path | Endpoint) -> str:
    return str(model) if isinstance(model, str | Path) else model.model


def _facts(
    known: Claims, judged: _Judged | None, source: object, policy: object, starts: Mapping[str, float] | None
) -> Iterator[tuple[str, str]]:
    yield "claims", known.source
    yield "format", known.format
    yield "questions", f"{known.questions:,}"
    yield "prompts", f"{len(known.cases):,}"
    if judged is not None:
        yield "held-out pairs", f"{len(judged.pairs):,} from {source}"
        if judged.left_out:
            yield "gave no pair", ", ".join(f"{n:,} {reason}" for reason, n in judged.left_out.items())
    if policy is not None and starts is not None:
        yield "policy", str(policy)
        every = sum(better_and_worse(case) is not None for case in known.cases)
        if len(starts) < every:
            yield "prompts too long for the policy", f"{every - len(starts):,} of {every:,}"
