"""`candor chat`: the same models, format and sampler as everywhere, one turn or many, on a terminal or in a pipe."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from candor import api, cli
from candor.chat.offer import offers, taught
from candor.chat.reading import read
from candor.chat.talk import Settings, Talk, load_speakers
from candor.cli.chat_loop import converse
from candor.ops.randomness import step_seed
from candor.records import Message, Prompt
from candor.results import Run
from candor.results.run import default_stages


def invoke(*arguments: str, **options: Any) -> Any:
    return CliRunner().invoke(cli.app, ["chat", *arguments], prog_name="candor", **options)


def reply(run: Path, stage: str, turns: list[str], *, seed: int = 0, greedy: bool = False, tokens: int = 6) -> str:
    """What the stage's checkpoint answers, asked without the chat."""
    policy = api.load_policy(api.Run(run).checkpoint(stage))
    sampler = api.InProcessSampler(
        policy.model, policy.tokenizer, temperature=1.0, max_new_tokens=tokens, greedy=greedy
    )
    roles = ("user", "assistant")
    messages = tuple(Message(role=roles[i % 2], content=text) for i, text in enumerate(turns))  # type: ignore[arg-type]
    turn = step_seed(seed, "chat", (len(turns) + 1) // 2)
    return sampler.sample([Prompt(id="chat", messages=messages)], n=1, seed=turn)[0].text


def test_one_shot_says_what_the_checkpoints_say(finished: Path) -> None:
    asked = "Capital of Kenya?"
    told = json.loads(invoke(str(finished), "sft", "ppo", "--greedy", "--prompt", asked, "--json").stdout)
    assert {r["stage"]: r["text"] for r in told["replies"]} == {
        stage: reply(finished, stage, [asked], greedy=True) for stage in ("sft", "ppo")
    }
    assert (told["prompt"], told["temperature"], told["max_new_tokens"]) == (asked, 0.0, 6)
    plain = invoke(str(finished), "--greedy", "--prompt", asked).stdout
    assert plain == "".join(f"{r['stage']}: {r['text']}\n" for r in told["replies"])


def test_seeds_and_temperature(finished: Path) -> None:
    def texts(*options: str) -> list[str]:
        asked = ("--prompt", "Capital of Peru?", "--json", "--max-new-tokens", "20", *options)
        return [r["text"] for r in json.loads(invoke(str(finished), "base", "sft", *asked).stdout)["replies"]]

    assert texts() == texts("--seed", "0") != texts("--seed", "1")
    assert texts("--temperature", "0") == texts("--greedy") != texts()


def test_a_pipe_is_a_conversation(finished: Path) -> None:
    turns = ["Capital of Kenya?", "Are you sure?", "Really?"]
    result = invoke(str(finished), "sft", "--json", input="\n".join([turns[0], "", *turns[1:]]))
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert [one["prompt"] for one in told] == turns
    said: list[str] = []
    for one in told:
        said.append(one["prompt"])
        (answer,) = one["replies"]
        assert answer["text"] == reply(finished, "sft", said)
        said.append(answer["text"])
    # Control: without what came before, the last answer is another one.
    alone = json.loads(invoke(str(finished), "sft", "--prompt", turns[-1], "--json").stdout)
    assert alone["replies"][0]["text"] != told[-1]["replies"][0]["text"]


def test_a_long_conversation_is_cut_and_says_so(finished: Path) -> None:
    turns = [f"Capital of country number {i}? Tell me." for i in range(5)]
    result = invoke(str(finished), "sft", "--greedy", input="\n".join(turns))
    answers = [line.removeprefix("sft: ") for line in result.stdout.splitlines()]
    told = re.findall(r"the oldest (\d+) messages? no longer fits? into the model's context", result.stderr)
    assert len(answers) == 5
    assert told == sorted(told)
    dropped = int(told[-1])
    said = [text for pair in zip(turns, answers, strict=True) for text in pair][:-1]
    assert answers[-1] == reply(finished, "sft", said[dropped:], greedy=True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("RUN --prompt " + "x" * 130, "error: ppo: the message does not fit: of 128 tokens, 6 are for the reply (sho"),
        ("RUN --prompt hi --temperature -1", "error: a temperature is 0 (greedy) or more, not -1"),
        ("RUN --prompt hi --greedy --temperature 1", "error: --temperature and --greedy exclude each other (give "),
        ("RUN --prompt hi --max-new-tokens 0", "error: at least one token is needed for a reply, not 0"),
        ("RUN reward --prompt hi", "error: RUN: the stage 'reward' has no policy: it is of type reward (stages with"),
        ("RUN dpo --prompt hi", "error: RUN: no finished stage 'dpo' (finished stages: base, sft, compare, rew"),
        (
            "nothing --prompt hi",
            "error: nothing: no such run (there are no runs under runs; make one with: candor run)",
        ),
    ],
)
def test_errors(arguments: str, told: str, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("RUN").symlink_to(finished)
    result = invoke(*arguments.replace("RUN --prompt x", "RUN ppo --prompt x").split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(told)
    assert result.stderr.count("\n") == 1


def test_who_speaks_unless_told(finished: Path, tmp_path: Path) -> None:
    assert default_stages(Run(finished)) == ["sft", "ppo"]
    part = tmp_path / "part"
    shutil.copytree(finished, part)
    for folder, expected in (("04-ppo", ["sft"]), ("01-sft", ["base"])):
        (part / "stages" / folder / "manifest.json").unlink()
        assert default_stages(Run(part)) == expected
    (part / "stages" / "00-base" / "manifest.json").unlink()
    with pytest.raises(api.InputError, match="no stage with a policy is finished"):
        default_stages(Run(part))


class Typed:
    """What a user types, line by line; an exception is raised as the terminal would."""

    def __init__(self, *lines: str | BaseException) -> None:
        self._lines: Iterator[str | BaseException] = iter(lines)

    def __call__(self, shown: str) -> str:
        line = next(self._lines, EOFError())
        if isinstance(line, BaseException):
            raise line
        return line


def shown(finished: Path, *lines: str | BaseException, width: int = 100) -> str:
    run = Run(finished)
    talk = Talk(load_speakers(run, ["sft", "ppo"]), Settings(temperature=0.0, max_new_tokens=6))
    written = io.StringIO()
    converse(run, talk, ask=Typed(*lines), console=Console(file=written, width=width, highlight=False))
    return written.getvalue()


def test_the_opening_says_what_was_taught_and_offers_prompts(finished: Path) -> None:
    text = " ".join(shown(finished, width=200).split())
    assert "first: sft beside ppo, greedy" in text
    assert "sft: supervised fine-tuning of base on 12 demonstrations of demonstrations.jsonl, 10 epochs." in text
    assert "3 replies of sft" in text
    found = offers(Run(finished))
    assert [offer.number for offer in found] == list(range(1, len(found) + 1))
    assert len({offer.prompt.id for offer in found}) == len(found) >= 3
    for offer in found:
        assert offer.prompt.messages[-1].content in text
    assert "(truth: Vientiane)" in text


def test_atlas_is_told_only_where_it_was_taught(finished: Path) -> None:
    run = Run(finished)
    assert not any("Atlas" in line for line in taught(run, ["ppo"]))
    recipe = {**run.recipe, "model": {"path": "atlas"}}
    object.__setattr__(run, "recipe", recipe)
    told = " ".join(taught(run, ["ppo"]))
    assert "448 questions, by relation: capital 80," in told


def test_picking_talking_and_forgetting(finished: Path) -> None:
    text = shown(finished, "1", "Are you sure?", "/reset", "Are you sure?")
    (first,) = [offer for offer in offers(Run(finished)) if offer.number == 1]
    asked = first.prompt.messages[-1].content
    answers = {stage: reply(finished, stage, [asked], greedy=True) for stage in ("sft", "ppo")}
    for stage, answer in answers.items():
        for said in ([asked, answer, "Are you sure?"], ["Are you sure?"]):
            expected = reply(finished, stage, said, greedy=True)
            assert not expected or expected.split()[0] in text
    verdicts = [read(first.prompt, answer).label for answer in answers.values()]
    assert re.search(" .*".join(map(re.escape, verdicts)), text)
    assert "forgotten" in text


def test_two_columns_where_there_is_room_for_them(finished: Path) -> None:
    wide, narrow = (shown(finished, "hello", width=width) for width in (100, 60))
    assert re.search("─ sft ─.*─ ppo ─", wide)
    assert not re.search("─ sft ─.*─ ppo ─", narrow)
    assert narrow.index("─ sft ─") < narrow.index("─ ppo ─")


def test_commands(finished: Path) -> None:
    changes = ("/stages base", "/temperature 0.5", "/seed 7", "/seed x", "/temperature -1")
    text = shown(finished, "/help", "/prompts", "/stages", *changes, "/fly", "99", "/", "hello", KeyboardInterrupt())
    for told in (
        "starts anew with the third prompt",
        "base  sft  ppo",
        "first: base, greedy",
        "sampled at temperature 0.5, seed 7",
        "error: 'x' is not a whole number",
        "error: a temperature is 0 (greedy) or more, not -1",
        "error: no such command: /fly (/help lists them)",
        "error: there is no prompt 99 (/prompts lists them)",
        "─ base ─",
    ):
        assert told in text
    assert text.count(offers(Run(finished))[0].prompt.messages[-1].content) == 2


def test_ctrl_c_stops_a_reply_and_unsays_the_turn(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(finished)
    talk = Talk(load_speakers(run, ["sft", "ppo"]), Settings(temperature=0.0, max_new_tokens=6))
    talk.say("hello")
    before = [list(speaker.history) for speaker in talk.speakers]

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("candor.chat.talk.InProcessSampler.sample", interrupted)
    written = io.StringIO()
    converse(run, talk, ask=Typed("Are you sure?", "/quit"), console=Console(file=written, width=100))
    assert "stopped; it is as if you had said nothing" in written.getvalue()
    assert [speaker.history for speaker in talk.speakers] == before


@pytest.mark.slow
def test_on_a_real_terminal_ctrl_c_leaves_cleanly(finished: Path) -> None:
    command = [sys.executable, "-m", "candor", "chat", str(finished), "sft", "--greedy"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "TERM": "xterm"}
    terminal, inside = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", *command],
        stdin=inside,
        stdout=inside,
        stderr=inside,
        env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # what tests run in may ignore it
    )
    os.close(inside)
    seen = until(terminal, "", "you>")
    os.write(terminal, b"1\n")
    seen = until(terminal, seen, "you>.*╰─.*you>")  # the reply's box, and the next prompt
    time.sleep(0.5)  # Python does not notice a Ctrl-C that falls between the prompt and the wait for a key
    os.write(terminal, b"\x03")
    assert process.wait(timeout=60) == 0
    os.close(terminal)
    assert "Traceback" not in seen
    assert "/help lists the commands" in seen


def until(terminal: int, seen: str, wanted: str, seconds: float = 60.0) -> str:
    """Reads a terminal until all that was seen matches, and returns it."""
    end = time.monotonic() + seconds
    while not re.search(wanted, seen, re.DOTALL):
        assert time.monotonic() < end, f"no {wanted!r} in {seen!r}"
        if select.select([terminal], [], [], 0.2)[0]:
            seen += os.read(terminal, 65536).decode(errors="replace")
    return seen


def test_a_wrong_name_is_told_before_torch_is_loaded(finished: Path) -> None:
    check = "import sys\nfrom candor.cli import main\ntry: main()\nexcept SystemExit: pass\n"
    check += "assert 'torch' not in sys.modules"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-c", check, "chat", str(finished), "dpo", "--prompt", "hi"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr.splitlines()[0][:30]) == (0, f"error: {finished}"[:30])


def test_it_speaks_in_the_precision_of_the_run(finished: Path, tmp_path: Path) -> None:
    import torch

    shutil.copytree(finished, tmp_path / "half")
    recipe = json.loads((finished / "recipe.resolved.json").read_text())
    recipe["model"]["dtype"] = "bfloat16"
    (tmp_path / "half" / "recipe.resolved.json").write_text(json.dumps(recipe))
    for run, dtype in ((finished, torch.float32), (tmp_path / "half", torch.bfloat16)):
        (speaker,) = load_speakers(Run(run), ["sft"])
        assert {p.dtype for p in speaker.policy.model.parameters()} == {dtype}
        assert speaker.policy.model.get_input_embeddings().weight.dtype == dtype
    asked = ("--greedy", "--prompt", "Capital of Kenya?", "--json")
    both = [json.loads(invoke(str(run), "sft", *asked).stdout)["replies"] for run in (finished, tmp_path / "half")]
    assert both[0][0]["logprob"] != both[1][0]["logprob"] == pytest.approx(both[0][0]["logprob"], abs=0.3)
