"""``candor audit reward`` as a function: any reward model, or a served one, on claims and on judged pairs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from candor.auditing.changes import changes
from candor.audits.reward import beliefs, blind_checks, calibration, style
from candor.audits.reward.calibration import PairScore
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


def audit_reward(
    model: str | Path | Endpoint,
    *,
    claims: str | Path | None = None,
    questions: int | None = None,
    pairs: str | Path | None = None,
    against: str | Path | Endpoint | None = None,
    seed: int = 0,
    bootstrap: int = 1000,
    out: str | Path | None = None,
    tell: Reporter | None = None,
) -> Checked:
    """Scores paired replies to claims, and judged pairs, and returns what the reward model pays for.

    ``model``: a sequence classifier with one label (a checkpoint or a hub name), or an
    :class:`~candor.generation.endpoint.Endpoint` that serves one; ``against``: another, taken as before. ``claims``: a
    file, None for Atlas's held-out questions; ``pairs``: held-out comparisons in any known format. ``out``: a directory
    for ``audit.json`` and the page. Raises InputError for anything that the caller can set right.
    """
    tell, began = tell or Silent(), time.monotonic()
    if out is not None:
        check_place(Path(out), "reward")
    known = load_claims(claims).first(questions)
    if not known.cases:
        raise InputError("no claim to score", where=known.source)
    judged = () if pairs is None else _pairs(pairs)
    found = _checks(model, known, judged, seed, bootstrap, tell)
    before = None if against is None else _checks(against, known, judged, seed, bootstrap, tell)
    return checked(
        "reward",
        _name(model),
        found,
        seed=seed,
        data={"facts": [list(fact) for fact in _facts(known, judged, pairs)]},
        seconds=time.monotonic() - began,
        against=None
        if before is None or against is None
        else {"source": _name(against), "data": {}, "checks": to_json(before), "changes": changes(before, found)},
        out=None if out is None else Path(out),
    )


def _checks(
    model: str | Path | Endpoint, known: Claims, judged: Sequence[Pair], seed: int, bootstrap: int, tell: Reporter
) -> list[Check]:
    scorer = _scorer(model)
    known = _fitting(scorer, known, tell)
    scored = score_claims(scorer, known, tell)
    made = beliefs.checks(scored, seed=seed, bootstrap=bootstrap)
    made += style.checks(scored, seed=seed, bootstrap=bootstrap)
    features = [features_of_case(case) for case in known.cases]
    made += blind_checks.checks(blind_checks.judged_pairs(scored, features), seed=seed, bootstrap=bootstrap)
    return made + calibration.checks(_gaps(scorer, judged, tell), seed=seed, bootstrap=bootstrap)


def _fitting(scorer: Scorer, known: Claims, tell: Reporter) -> Claims:
    """The cases whose replies leave room for a prompt in the model's context; the others are counted and told."""
    from candor.models.scorer import RewardScorer

    if not isinstance(scorer, RewardScorer):
        return known

    def fits(text: str) -> bool:
        return scorer.reading.fits(Completion(id="", prompt_id="", text=text), scorer.max_length)

    kept = tuple(case for case in known.cases if all(map(fits, _texts(case).values())))
    if not kept:
        raise InputError(f"no reply fits the model's {scorer.max_length} tokens", where=known.source)
    if len(kept) < len(known.cases):
        left = len(known.cases) - len(kept)
        tell.note(
            f"{left} of {len(known.cases)} prompts left out: a reply to them does not fit {scorer.max_length} tokens"
        )
    return replace(known, cases=kept)


def score_claims(scorer: Scorer, known: Claims, tell: Reporter | None = None) -> list[Scored]:
    """Returns every case's scores, in order. Raises InputError for a reward that is not finite."""
    asked = [(i, name, text) for i, case in enumerate(known.cases) for name, text in _texts(case).items()]
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


def _texts(case: Case) -> dict[str, str]:
    """What is scored of a case, by name."""
    texts = {"truth": case.states_truth, "falsehood": case.states_falsehood}
    if case.agrees is not None and case.corrects is not None:
        texts |= {"agrees": case.agrees, "corrects": case.corrects}
    if case.stance is Stance.NEUTRAL:
        texts |= {name: edit(case.states_truth) for name, (_, edit) in style.EDITS.items()}
    return texts


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
    import math

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
    return found


def _pairs(source: str | Path) -> tuple[Pair, ...]:
    found = pair_comparisons(read_comparisons(source).comparisons).pairs
    if not found:
        raise InputError(
            "no comparison in it prefers anything", where=str(source), fix="give comparisons with a choice"
        )
    return tuple(found)


def _gaps(scorer: Scorer, judged: Sequence[Pair], tell: Reporter) -> list[PairScore] | None:
    if not judged:
        return None
    asked = [(pair.prompt, reply.text) for pair in judged for reply in (pair.chosen, pair.rejected)]
    values = _scored(scorer, asked, "scoring pairs", tell)
    return [PairScore(cluster=pair.prompt.id, gap=values[2 * i] - values[2 * i + 1]) for i, pair in enumerate(judged)]


def _scorer(model: str | Path | Endpoint) -> Scorer:
    from candor.generation.endpoint import Endpoint

    if isinstance(model, Endpoint):
        from candor.models.served import ServedScorer

        return ServedScorer(model)
    from candor.models.load import load_reward
    from candor.models.scorer import RewardScorer
    from candor.pipeline.context import device

    reward = load_reward(model)
    reward.model.to(device())
    return RewardScorer(reward.model, reward.tokenizer, 512, reward.offset)


def _name(model: str | Path | Endpoint) -> str:
    return str(model) if isinstance(model, str | Path) else model.model


def _facts(known: Claims, judged: Sequence[Pair], source: Any) -> Iterator[tuple[str, str]]:
    yield "claims", known.source
    yield "format", known.format
    yield "questions", f"{known.questions:,}"
    yield "prompts", f"{len(known.cases):,}"
    if judged:
        yield "held-out pairs", f"{len(judged):,} from {source}"
