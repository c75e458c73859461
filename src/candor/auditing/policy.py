"""``candor audit policy`` as a function: any causal language model, or a served one, on claims whose truth is known."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from candor.auditing.judged import JudgedReplies
from candor.audits.changes import paired_changes
from candor.audits.observations import Observation, rows
from candor.audits.policy import PolicyAudit
from candor.audits.policy_checks import checks
from candor.claims import ATLAS, Case, ClaimReader, Claims, load_claims
from candor.errors import InputError
from candor.jsonl import write_rows
from candor.pipeline.progress import Reporter, Silent, working
from candor.protocols import ReplyReader
from candor.records import Completion, Finding, ParsedReply, Prompt, ReplyKind, Stance, to_json
from candor.report.checks import check_place
from candor.results.checks import Checked, checked

if TYPE_CHECKING:
    from candor.generation.endpoint import Endpoint
    from candor.models.load import Policy
    from candor.protocols import Sampler

Mode = Literal["sample", "logprob"]
SAMPLED, GREEDY, LIKELIER = "sampled", "greedy", "logprob"
SAMPLES = "samples.jsonl"
COMPARED = (
    "false_belief_agreement",
    "true_belief_agreement",
    "selectivity",
    "excess_agreement",
    "overcorrection",
    "neutral_accuracy",
)
BATCH = 64


@dataclass(frozen=True, kw_only=True)
class Asking:
    """How a policy is asked. ``per_token``: log-probabilities by the mean of an answer's tokens."""

    mode: Mode = "sample"
    samples: int = 2
    temperature: float = 1.0
    max_new_tokens: int = 64
    greedy: bool = False
    per_token: bool = True
    seed: int = 0
    bootstrap: int = 1000

    @property
    def subject(self) -> str:
        return LIKELIER if self.mode == "logprob" else GREEDY if self.greedy else SAMPLED


def audit_policy(
    model: str | Path | Endpoint,
    *,
    claims: str | Path | None = None,
    questions: int | None = None,
    against: str | Path | Endpoint | None = None,
    judge: Endpoint | None = None,
    asking: Asking | None = None,
    out: str | Path | None = None,
    tell: Reporter | None = None,
) -> Checked:
    """Asks a policy every claim under every stance and returns what its replies show.

    ``model``: a checkpoint, a hub name, or an :class:`~candor.generation.endpoint.Endpoint`; ``against``: another,
    taken as before, answering the same prompts: changes are paired by question. ``claims``: a file, None for Atlas's
    held-out questions; ``questions``: no more than so many. ``judge`` reads the replies instead of the rules. ``out``:
    a directory for ``audit.json``, the page and every reply; nothing is written where it is None. Raises InputError
    for anything that the caller can set right.
    """
    tell, asking, began = tell or Silent(), asking or Asking(), time.monotonic()
    if out is not None:
        check_place(Path(out), "policy")
    known = load_claims(claims).first(questions)
    if not known.cases:
        raise InputError("no claim to ask", where=known.source)
    audit = PolicyAudit(reader=_reader(judge, known), bootstrap=asking.bootstrap)
    observations = _observed(model, known, audit, asking, tell)
    other = None if against is None else _observed(against, known, audit, asking, tell)
    findings = _subject(audit, observations, asking)
    found = checks(findings, observations, subject=asking.subject)
    done = checked(
        "policy",
        _name(model),
        found,
        seed=asking.seed,
        data={
            "facts": [list(fact) for fact in _facts(known, asking, observations, audit.reader)],
            "findings": to_json(findings),
        },
        seconds=time.monotonic() - began,
        against=None if other is None else _against(against, other, observations, audit, asking),
        out=None if out is None else Path(out),
    )
    if out is not None:
        write_rows(Path(out) / SAMPLES, rows(observations))
    return done


def _name(model: str | Path | Endpoint) -> str:
    return str(model) if isinstance(model, str | Path) else model.model


def _observed(
    model: str | Path | Endpoint, known: Claims, audit: PolicyAudit, asking: Asking, tell: Reporter
) -> tuple[Observation, ...]:
    if asking.mode == "logprob":
        return _likelier(model, known, asking, tell)
    sampler, prompts = _sampler(model, known, asking, tell)
    replies: list[Completion] = []
    with working(tell, f"asking {Path(_name(model)).name}", len(prompts)):
        for start in range(0, len(prompts), BATCH):
            n = 1 if asking.greedy else asking.samples
            replies += sampler.sample(prompts[start : start + BATCH], n=n, seed=asking.seed + start)
            tell.update(min(start + BATCH, len(prompts)))
    if isinstance(audit.reader, JudgedReplies):
        by_id = {prompt.id: prompt for prompt in prompts}
        with working(tell, "judging replies", len(replies)):
            for start in range(0, len(replies), BATCH):
                batch = replies[start : start + BATCH]
                audit.reader.ask_ahead([(by_id[reply.prompt_id], reply.text) for reply in batch])
                tell.update(start + len(batch))
    return audit.observe(prompts, replies, subject=asking.subject)


def _sampler(
    model: str | Path | Endpoint, known: Claims, asking: Asking, tell: Reporter
) -> tuple[Sampler, Sequence[Prompt]]:
    from candor.generation.endpoint import Endpoint, EndpointSampler

    if isinstance(model, Endpoint):
        temperature = 0.0 if asking.greedy else asking.temperature
        return EndpointSampler(model, temperature=temperature, max_new_tokens=asking.max_new_tokens), known.prompts
    from candor.generation import InProcessSampler
    from candor.models.load import load_policy
    from candor.pipeline.context import device, model_source, prompts_that_fit

    policy = load_policy(model_source(model))
    policy.model.to(device())
    prompts = prompts_that_fit(policy, known.prompts, asking.max_new_tokens, tell.note)
    if not prompts:
        raise InputError("no prompt fits the model's context", where=str(model), fix="lower --max-new-tokens")
    sampler = InProcessSampler(
        policy.model,
        policy.tokenizer,
        temperature=asking.temperature,
        max_new_tokens=asking.max_new_tokens,
        greedy=asking.greedy,
        name=str(model),
    )
    return sampler, prompts


def _likelier(model: str | Path | Endpoint, known: Claims, asking: Asking, tell: Reporter) -> tuple[Observation, ...]:
    """What the policy would rather say: under each prompt the likelier of the true and the false answer."""
    if not isinstance(model, str | Path):
        what = "log-probabilities need the model itself"
        raise InputError(what, where="--mode logprob", fix="give a checkpoint, or use --mode sample")
    from candor.models.choices import preferences
    from candor.models.load import load_policy
    from candor.pipeline.context import device, model_source

    policy = load_policy(model_source(model))
    policy.model.to(device())
    fitting = _fitting(policy, known, tell)
    found = []
    with working(tell, f"asking {Path(model).name}", len(fitting)):
        for start in range(0, len(fitting), BATCH):
            cases = fitting[start : start + BATCH]
            answers = ([case.states_truth for case in cases], [case.states_falsehood for case in cases])
            said = preferences(policy, [case.prompt for case in cases], *answers)
            pairs = zip(cases, said, strict=True)
            found += [chosen(case, one.says_truth(per_token=asking.per_token)) for case, one in pairs]
            tell.update(min(start + BATCH, len(fitting)))
    return tuple(found)


def _fitting(policy: Policy, known: Claims, tell: Reporter) -> Sequence[Case]:
    """The cases of which both answers fit the model's context; the others are counted and told."""
    from candor.models.choices import have_room
    from candor.models.window import window

    room = have_room(policy, [(case.prompt, (case.states_truth, case.states_falsehood)) for case in known.cases])
    kept = [case for case, fits in zip(known.cases, room, strict=True) if fits]
    if not kept:
        what = f"no prompt and its answers fit the model's context of {window(policy.model)} tokens"
        raise InputError(
            what, where=known.source, fix="shorten the questions and answers, or audit a model that reads more"
        )
    if len(kept) < len(known.cases):
        left = len(known.cases) - len(kept)
        tell.note(f"{left} of {len(known.cases)} prompts left out: they and an answer do not fit the model's context")
    return kept


def chosen(case: Case, truth: bool) -> Observation:
    """Returns the answer that a policy finds likelier, as if it had said it: what it does with the user's belief."""
    claim = case.prompt.claim
    assert claim is not None
    match case.stance:
        case Stance.NEUTRAL:
            kind = ReplyKind.ANSWER
        case Stance.ASSERTS_TRUE:
            kind = ReplyKind.AGREE if truth else ReplyKind.CONTRADICT_TRUE
        case _:
            kind = ReplyKind.CORRECT_BLUNTLY if truth else ReplyKind.AGREE
    return Observation(
        id=case.prompt.id,
        prompt=case.prompt,
        subject=LIKELIER,
        text=case.states_truth if truth else case.states_falsehood,
        parsed=ParsedReply(kind=kind, value=claim.truth if truth else case.falsehood),
    )


def _reader(judge: Endpoint | None, known: Claims) -> ReplyReader:
    from candor.testbeds.atlas.parser import read_reply

    # Atlas's rules are written for its replies; claims of any other kind are read by their known answers too.
    rules = read_reply if known.source == ATLAS else ClaimReader(known.cases, read_reply)
    return rules if judge is None else JudgedReplies(judge, rules, known.cases)


def _subject(audit: PolicyAudit, observations: Sequence[Observation], asking: Asking) -> list[Finding]:
    return [f for f in audit.findings(observations, seed=asking.seed) if f.subject == asking.subject]


def _against(
    against: str | Path | Endpoint | None,
    other: Sequence[Observation],
    observations: Sequence[Observation],
    audit: PolicyAudit,
    asking: Asking,
) -> Mapping[str, Any]:
    """The document's part about the other policy: its checks and the paired changes."""
    before = checks(_subject(audit, other, asking), other, subject=asking.subject)
    changes = paired_changes(other, observations, COMPARED, seed=asking.seed, bootstrap=asking.bootstrap)
    names = {f.metric: c.name for c in before for f in c.findings}
    counted = {f.metric: f.n for c in before for f in c.findings}
    moved = [
        {
            "check": names[change.metric],
            "metric": change.metric,
            "subject": change.subject,
            "before": change.details["before"],
            "after": change.details["after"],
            "difference": change.estimate,
            "ci_low": change.ci_low,
            "ci_high": change.ci_high,
            "n_before": counted[change.metric],
            "n_after": change.n,
            "p_holm": change.details["p_holm"],
        }
        for change in changes
        if change.estimate is not None and change.ci_low is not None and change.metric in names
    ]
    assert against is not None
    return {"source": _name(against), "data": {}, "checks": to_json(before), "changes": moved}


def _facts(
    known: Claims, asking: Asking, observations: Sequence[Observation], reader: ReplyReader
) -> list[tuple[str, str]]:
    how = {
        LIKELIER: f"the likelier of two answers, {'token by token' if asking.per_token else 'as a whole'}",
        GREEDY: "greedy replies",
        SAMPLED: f"{asking.samples} sampled replies a prompt, temperature {asking.temperature:g}",
    }[asking.subject]
    asked = len({o.prompt.id for o in observations})
    left = len(known.cases) - asked
    return [
        ("claims", known.source),
        ("format", known.format),
        ("questions", f"{known.questions:,}"),
        ("prompts", f"{asked:,}" + (f" ({left:,} left out: too long for the model)" if left else "")),
        ("asked for", how),
        ("replies", f"{len(observations):,}"),
        *([] if asking.mode == "logprob" else [("read by", _read_by(reader))]),
    ]


def _read_by(reader: ReplyReader) -> str:
    if not isinstance(reader, JudgedReplies):
        return "rules"
    counts = reader.counts
    return (
        f"a judge, asked twice: {counts.get('same', 0):,} replies read alike, {counts.get('differs', 0):,} not (they "
        f"count as undecided), {counts.get('unparsable', 0):,} without an answer (read by the rules)"
    )
