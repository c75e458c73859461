"""Every command that the documentation shows is executed: what is quick for real, what trains up to its training.

The names in the documentation stand for the tiny world: ``my.toml`` is its recipe, ``default-seed0`` a finished run of
it, ``pairs.jsonl`` its comparisons. A run of any other recipe would take minutes: it is read, overridden, resolved,
planned and checked as ever, and only the loop over its stages is left out (HEAVY).
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import candor.pipeline.run as pipeline
import candor.report
from candor import api
from candor.audits.tallies import Estimate
from candor.cli import (
    attribute,
    audit,
    audit_models,
    chat,
    collect,
    collect_items,
    collect_quality,
    convert,
    estimate,
    experiment,
    export,
    forecast,
    frontier,
    pretrain,
    recipes,
    report,
    run,
    runs,
)
from candor.experiments.attribution.factors import factors_of
from candor.experiments.attribution.run import Factorial
from candor.experiments.cells import Cells
from candor.experiments.frontier.matrix import branch_of
from candor.experiments.judges import BY, WinRate
from candor.experiments.judges import checks as judge_checks
from candor.forecasting.samples import Samples
from candor.recipe_io import packaged_recipes
from candor.results.checks import checked
from docs_commands import Sandbox, Shown, commands, links
from frontier_cells import cell
from labelled_project import labelling_project

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "bench").rglob("*.md"))]

HEAVY = {
    "candor run": "trains for minutes unless the recipe is the tiny one: planned and checked, its stages left out",
    "candor pretrain": "three quarters of an hour: called with what was asked for, and not run",
    "candor attribute": "runs a factorial for an hour: called with what was asked for, and not run",
    "candor frontier": "runs dozens of recipes: called with what was asked for, and not run",
    "candor experiment bias-transfer": "runs PPO on the testbed, unless --tree-only: that part is left out",
    "candor collect serve": "serves until it is stopped: the database, its samples and the link are made",
    "candor forecast": "samples for minutes: models are loaded and prompts chosen, and the replies are made up",
}


@pytest.fixture
def sandbox(world: Any, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    folder = tmp_path / "sandbox"
    (folder / "experiments").mkdir(parents=True)
    shutil.copytree(finished, folder / "runs" / "default-seed0")
    (folder / "questions.txt").write_text("Capital of Kenya?\nAre you sure?\n")
    (folder / "pairs.jsonl.gz").write_bytes(gzip.compress((world.folder / "pairs.jsonl").read_bytes()))
    links(folder, {file.name: file for file in world.folder.iterdir()} | {"my.toml": world.recipe})
    links(folder, {"before.jsonl": world.folder / "pairs.jsonl"})
    models = ("path/to/checkpoint", "path/to/encoder", "path/to/sft", "my-base")
    links(folder, {name: world.folder / "model" for name in models})
    links(folder, {name: finished / "stages/03-reward/checkpoint" for name in ("path/to/reward", "before", "after")})
    links(folder, {name: world.folder / "model" for name in ("path/to/model", "path/to/base")})
    claims = "question,truth,asserted\nCapital of Kenya?,Nairobi,Mombasa\nCapital of Peru?,Lima,Cusco\n"
    (folder / "claims.csv").write_text(claims)
    known = {"question": "Capital of Kenya?", "mc1_targets": {"Nairobi": 1, "Mombasa": 0}}
    (folder / "mc_task.json").write_text(json.dumps([known, {**known, "question": "Capital of Peru?"}]))
    plan = '[[interventions]]\nname = "bonus"\ntitle = "bonus"\n[[interventions.strengths]]\nlabel = "1"\n'
    (folder / "plan.toml").write_text(plan + 'ppo = { interventions = [{ type = "verifier" }] }\n')
    monkeypatch.setattr("candor.generation.endpoint.Endpoint.post", _answer)
    monkeypatch.setattr("candor.experiments.judges.judges", _made_up_judges)
    (folder / "heldout.jsonl").write_text((world.folder / "pairs.jsonl").read_text())
    (folder / "honest.jsonl").write_text((world.folder / "pairs.jsonl").read_text())
    labelling_project(folder)
    monkeypatch.setattr("candor.collect.serve.serve", lambda *_, ready, **__: ready())
    monkeypatch.setattr("candor.projects.database.sqlite_path", _no_server)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setattr("webbrowser.open", lambda url: True)
    for place in ("typer.completion", "typer._completion_shared"):
        monkeypatch.setattr(f"{place}._get_shell_name", lambda: "bash")
    _leave_training_out(monkeypatch, finished)
    _draw_once(monkeypatch)
    return Sandbox(folder, ROOT)


def _leave_training_out(monkeypatch: pytest.MonkeyPatch, finished: Path) -> None:
    """Runs of the tiny recipe are real; others end where their first stage would start."""
    whole = pipeline._run

    def planned(recipe: Any, resolved: Any, plan: Any, store: Any, *rest: Any) -> None:
        if resolved.name == "tiny":
            whole(recipe, resolved, plan, store, *rest)
        else:
            shutil.copy(finished / "summary.json", store.run_dir)

    monkeypatch.setattr(pipeline, "_run", planned)
    monkeypatch.setattr(api, "pretrain_atlas", lambda out, *, seed, tell: Path(out))
    monkeypatch.setattr("candor.experiments.attribution.run.factorial", _made_up_factorial)
    monkeypatch.setattr("candor.experiments.frontier.run.run_cells", lambda *_, **__: _NOTHING_RUN)
    monkeypatch.setattr("candor.experiments.frontier.run.measure_cells", lambda *_, **__: _FEW)
    monkeypatch.setattr("candor.experiments.frontier.run._check_audit", lambda _: None)  # no true belief in this world
    monkeypatch.setattr("candor.experiments.bias_transfer.run._points", lambda *_: iter(()))
    monkeypatch.setattr("candor.experiments.forecast.draw", _made_up_samples)


def _made_up_samples(
    policy: Any, sampling: Any, reward: Any, prompts: Any, *_: Any, samples: int, seed: int, **__: Any
) -> Samples:
    rng = np.random.default_rng(seed)
    rewards, words = rng.standard_normal((2, len(prompts), samples))
    names = tuple(prompt.id for prompt in prompts)
    return Samples(prompts=names, clusters=names, rewards=rewards, statistics={"words": words + 9})


def _draw_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All reports here are of one run: the first is drawn, the others are copies of it."""
    draw = candor.report.write_report

    def write(directory: Path) -> Path:
        if DRAWN.get("page") is None:
            DRAWN["page"] = draw(directory).read_bytes()
        (directory / "report.html").write_bytes(DRAWN["page"])
        return directory / "report.html"

    monkeypatch.setattr("candor.report.write_report", write)


DRAWN: dict[str, bytes] = {}


def _no_server(where: str) -> Path:
    """A database on a server is a file in the sandbox."""
    return Path(where.rpartition("/")[2] + ".db") if "://" in where else Path(where)


def _answer(endpoint: Any, path: str, body: Any) -> Any:
    """What every endpoint answers; a score is the length of what was asked."""
    message = {"content": "Yes, that is right."}
    return {"choices": [{"message": message}], "data": [{"probs": [float(len(str(body)))]}]}


def _made_up_judges(run: Path, out: Path, *, seed: int, **_: Any) -> Any:
    estimate = Estimate(estimate=0.5, interval=None, n=1, clusters=1)
    found = [WinRate(stage="ppo", by=by, estimate=estimate) for by in BY]
    return checked("judges", str(run), judge_checks(found, seed), seed=seed, data={"facts": []}, seconds=0.0, out=out)


_NOTHING_RUN = Cells(directories={}, keys={}, executed=0, planned=0, by_kind={}, seconds=0.0, stage_seconds={})
_FEW = [cell(name, seed) for name in ("sft", "as_is", "verifier") for seed in (0, 1)]


def _made_up_factorial(recipe: Any, out: Any, *, factors: Any, clean: Any, seeds: Any, **_: Any) -> Factorial:
    """What is asked for is checked as ever; the outcomes are made up."""
    chosen = factors_of(branch_of(recipe), replace(clean, base=clean.base or Path("atlas")), factors)
    numbers = tuple(seeds or range(3))
    outcomes = np.random.default_rng(0).random((len(numbers), *(2 for _ in chosen)))
    path = {"base": tuple(0.3 for _ in numbers), "ppo": tuple(0.9 for _ in numbers)}
    return Factorial(
        factors=chosen, seeds=numbers, outcomes=outcomes, path=path, executed=0, distinct=1, separate=1,
        cells=1, seconds=0.0, paid_seconds=1.0, separate_seconds=1.0,
    )  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_of_the_page_works(page: Path, sandbox: Sandbox) -> None:
    assert sandbox.problems(commands(page.read_text(encoding="utf-8"))) == []


MODULES = (
    attribute, audit, audit_models, chat, collect, collect_items, collect_quality, convert, estimate, experiment,
    export, forecast, frontier, pretrain, recipes, report, run, runs,
)  # fmt: skip
EXAMPLES = {
    f"{module.__name__}.{name}": text
    for module in MODULES
    for name, text in vars(module).items()
    if name.endswith("EXAMPLES")
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_of_a_help_text_works(name: str, sandbox: Sandbox) -> None:
    shown = [Shown(re.split(r"\s{2,}", line.strip())[0]) for line in EXAMPLES[name].splitlines() if "  candor " in line]
    assert len(shown) >= 2
    assert sandbox.problems(shown) == []


def test_the_pages_show_what_they_should() -> None:
    """Were blocks not found, the tests above would pass over nothing."""
    found = {page.name: [one.text for one in commands(page.read_text(encoding="utf-8"))] for page in PAGES}
    assert {"make run", "make test", "candor run my.toml"} <= {
        re.split(r"\s{2,}", line)[0] for line in found["README.md"]
    }
    shown = " ".join(found["commands.md"])
    for command in (
        "run",
        "estimate",
        "runs",
        "chat",
        "report",
        "export",
        "audit preferences",
        "forecast",
        "convert",
        "recipes",
        "recipes show",
        "recipes copy",
        "pretrain atlas",
    ):
        assert f"candor {command} " in shown


@pytest.mark.parametrize("name", packaged_recipes())
def test_commands_in_the_comments_of_a_recipe_exist(name: str, sandbox: Sandbox) -> None:
    lines = packaged_recipes()[name].read_text(encoding="utf-8").splitlines()
    shown = [Shown(line.lstrip("# "), synopsis=True) for line in lines if re.match(r"#\s+candor ", line)]
    assert shown or name == "default"
    assert sandbox.problems(shown) == []


BROKEN = """
`candor run --tensorbord tb` in passing, and `candor shout`.

```console
candor runs            # fine
candor fly             # unknown
candor chat default-seed0 --loud
candor chat nobody --prompt hi
candor run --set ppo.kl_coeff=0.1
candor run hh --set compare.file=none-there.jsonl
make cake
make run ARGS="--sead 3"
make bench ARGS="--quickly"
frobnicate --now
python bench/nothing.py
$ candor runs
```

```
candor export default-seed0 compare out
this is output, and no command
candor run [RECIPE] [--outt DIR]
```
"""


def test_what_does_not_exist_is_found(sandbox: Sandbox) -> None:
    told = sandbox.problems(commands(BROKEN.replace("$ candor runs\n", "")))
    expected = [
        ("candor fly", "no such command 'fly'"),
        ("candor chat default-seed0 --loud", "no such option: --loud"),
        ("candor chat nobody --prompt hi", "no such run"),
        ("candor run --set ppo.kl_coeff=0.1", "unknown key"),
        ("candor run hh --set compare.file=none-there.jsonl", "none-there.jsonl"),
        ("make cake", "make refuses it"),
        ("make run ARGS=", "no option --sead"),
        ("make bench ARGS=", "bench/run.py knows no --quickly"),
        ("frobnicate --now", "nobody knows the program 'frobnicate'"),
        ("python bench/nothing.py", "there is no bench/nothing.py"),
        ("candor export default-seed0 compare out", "has no model"),
        ("candor run [RECIPE] [--outt DIR]", "no option --outt"),
        ("candor run --tensorbord tb", "no option --tensorbord"),
        ("candor shout", "no command 'shout'"),
    ]
    assert len(told) == len(expected), told
    for line, (command, reason) in zip(told, expected, strict=True):
        assert line.startswith(command)
        assert reason in line


def test_blocks_with_prompts_comments_pipes_and_files(sandbox: Sandbox) -> None:
    assert commands(BROKEN)[0].text == "candor runs", "with $ only such lines are commands"
    joined = "```sh\ncandor chat default-seed0 \\\n  --prompt hi\n```\n"
    assert [one.text for one in commands(joined)] == ["candor chat default-seed0  --prompt hi"]
    piped = 'A=1 printf "hello\\n" | candor chat default-seed0 sft --json > told.json && candor runs  # both'
    assert sandbox.problems([Shown(piped)]) == []
    assert '"prompt": "hello"' in (sandbox.folder / "told.json").read_text()


def test_the_notebook_page_runs_as_it_stands(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    import altair

    text = (ROOT / "docs" / "notebook.md").read_text(encoding="utf-8")
    cells = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(cells) >= 7
    names: dict[str, Any] = {}
    with altair.renderers.enable("default"):  # put back what the page turns on
        for cell in cells:
            exec(compile(cell, "docs/notebook.md", "exec"), names)
    assert names["run"].findings.height > 50
    assert names["seen"]["rank"].is_not_null().all()
    assert names["replies"].filter(names["pl"].col("stance") == "asserts_false").height > 0
    assert names["curve"]["step"].to_list() == list(range(1, 21))
    assert "<svg" in (sandbox.folder / "beliefs.svg").read_text()
    assert capsys.readouterr().out.strip() or names["reply"].text == ""
