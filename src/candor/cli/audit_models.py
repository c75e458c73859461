"""``candor audit policy`` and ``candor audit reward``: what can be trusted of a model."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from candor.cli.audit import stem
from candor.cli.checked import FailAt, Open, Seed, show
from candor.cli.output import AsJson
from candor.cli.stopping import resumable
from candor.errors import InputError

if TYPE_CHECKING:
    from candor.generation.endpoint import Endpoint

POLICY_EXAMPLES = """
\b
Examples:
  candor audit policy path/to/model                            Atlas's held-out questions; the page is in audits/model
  candor audit policy path/to/model --claims claims.csv        your own: question, truth, asserted
  candor audit policy path/to/model --claims mc_task.json --mode logprob
  candor audit policy path/to/model --against path/to/sft      two models side by side, paired by question
  candor audit policy my-model --endpoint http://localhost:8000/v1 --questions 20
"""

REWARD_EXAMPLES = """
\b
Examples:
  candor audit reward path/to/reward                           does it reward agreement? the page is in audits/reward
  candor audit reward path/to/reward --pairs heldout.jsonl     accuracy and calibration too
  candor audit reward path/to/reward --claims claims.csv       your own claims
  candor audit reward path/to/reward --policy path/to/sft      what a policy would do in the blind spots
  candor audit reward after --against before                   two reward models side by side, paired by question
  candor audit reward my-reward --endpoint http://localhost:8000 --questions 20
"""


class Mode(StrEnum):
    """How a policy is asked."""

    SAMPLE = "sample"
    LOGPROB = "logprob"


ModelArgument = Annotated[
    str, typer.Argument(help="A checkpoint, a hub name, or a served model's.", show_default=False, metavar="MODEL")
]
ClaimsFile = Annotated[
    str | None,
    typer.Option("--claims", metavar="FILE", help="CSV or JSON lines, or TruthfulQA's.", show_default="Atlas"),
]
Questions = Annotated[int | None, typer.Option(min=2, help="No more than so many.", show_default="all")]
Url = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Where MODEL is served, such as http://localhost:8000/v1.", show_default=False),
]
Against = Annotated[
    str | None, typer.Option(metavar="MODEL", help="Another, taken as before: both side by side.", show_default=False)
]
Key = Annotated[str, typer.Option(metavar="NAME", help="The environment variable that holds the endpoint's key.")]
Out = Annotated[
    Path | None,
    typer.Option(help="The directory of audit.json and the page.", show_default="audits/<name of the model>"),
]


def policy(
    model: ModelArgument,
    claims: ClaimsFile = None,
    questions: Questions = None,
    mode: Annotated[Mode, typer.Option(help="Read replies, or compare two answers' probabilities.")] = Mode.SAMPLE,
    whole: Annotated[
        bool, typer.Option("--whole", help="Probabilities of whole answers, not the mean of their tokens.")
    ] = False,
    samples: Annotated[int, typer.Option(min=1, help="Sampled replies per prompt.")] = 2,
    temperature: Annotated[float, typer.Option(min=0.01, help="Of sampling.")] = 1.0,
    greedy: Annotated[bool, typer.Option("--greedy", help="The likeliest reply instead of samples.")] = False,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Tokens of a reply at most.")] = 64,
    endpoint: Url = None,
    against: Against = None,
    judge: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Let a served model read the replies.", show_default="rules")
    ] = None,
    judge_endpoint: Annotated[
        str | None, typer.Option(metavar="URL", help="Where the judge is served.", show_default="--endpoint")
    ] = None,
    key_variable: Key = "OPENAI_API_KEY",
    out: Out = None,
    seed: Seed = 0,
    fail_on: FailAt = None,
    browser: Open = False,
    as_json: AsJson = False,
) -> None:
    """Audit a model's sycophancy: does it go along with what it knows to be false?

    Every claim is put to it neutrally, stated falsely and truly at four strengths, and doubted. Prints a verdict per
    check and writes audit.json, a page and every reply.
    """
    if whole and mode is not Mode.LOGPROB:
        raise InputError("it is about log-probabilities", where="--whole", fix="add --mode logprob")
    if judge is not None and mode is Mode.LOGPROB:
        raise InputError("log-probabilities have no replies to judge", where="--judge", fix="leave out --mode logprob")
    if judge is not None and not (judge_endpoint or endpoint):
        raise InputError("where is the judge served?", where="--judge", fix="give --judge-endpoint URL")
    with resumable():
        from rich.console import Console

        from candor.auditing.policy import Asking, audit_policy
        from candor.generation.endpoint import Endpoint
        from candor.pipeline.progress import reporter_for

        where = judge_endpoint or endpoint
        reading = Endpoint(url=where, model=judge, key_variable=key_variable) if judge and where else None
        done = audit_policy(
            served(model, endpoint, key_variable),
            claims=claims,
            questions=questions,
            against=None if against is None else served(against, endpoint, key_variable),
            judge=reading,
            asking=Asking(
                mode=mode.value,
                samples=samples,
                temperature=temperature,
                max_new_tokens=max_new_tokens,
                greedy=greedy,
                per_token=not whole,
                seed=seed,
            ),
            out=out or Path("audits") / stem(model),
            tell=reporter_for(Console(stderr=True)),
        )
    show(done, as_json=as_json, browser=browser, fail_on=fail_on)


def reward(
    model: ModelArgument,
    claims: ClaimsFile = None,
    questions: Questions = None,
    pairs: Annotated[
        str | None, typer.Option(metavar="FILE", help="Held-out comparisons, in any known format.", show_default=False)
    ] = None,
    policy: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Whose odds blind spots start from.", show_default="even odds")
    ] = None,
    endpoint: Url = None,
    against: Against = None,
    max_length: Annotated[int, typer.Option(min=16, help="Tokens of prompt and reply; longer prompts are cut.")] = 2048,
    key_variable: Key = "OPENAI_API_KEY",
    out: Out = None,
    seed: Seed = 0,
    fail_on: FailAt = None,
    browser: Open = False,
    as_json: AsJson = False,
) -> None:
    """Audit a reward model: does it pay for agreement, for form, for the truth; where is it blind?

    Scores replies to claims that differ in one thing alone, and held-out pairs. Prints a verdict per check and writes
    audit.json and a page.
    """
    with resumable():
        from rich.console import Console

        from candor.auditing.reward import audit_reward
        from candor.pipeline.progress import reporter_for

        done = audit_reward(
            served(model, endpoint, key_variable),
            claims=claims,
            questions=questions,
            pairs=pairs,
            against=None if against is None else served(against, endpoint, key_variable),
            policy=policy,
            max_length=max_length,
            seed=seed,
            out=out or Path("audits") / stem(model),
            tell=reporter_for(Console(stderr=True)),
        )
    show(done, as_json=as_json, browser=browser, fail_on=fail_on)


def add(app: typer.Typer) -> None:
    """Adds both commands to the group."""
    app.command(epilog=POLICY_EXAMPLES)(policy)
    app.command(epilog=REWARD_EXAMPLES)(reward)


def served(model: str, url: str | None, key_variable: str) -> str | Endpoint:
    """The model itself, or where it is served."""
    if url is None:
        return model
    from candor.generation.endpoint import Endpoint

    return Endpoint(url=url, model=model, key_variable=key_variable)
