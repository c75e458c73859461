"""Finds the commands that documentation shows and executes each of them in a small world."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import typer.main
from typer.testing import CliRunner

from candor import cli

SHELLS = ("console", "sh", "bash", "shell")
STARTS = ("candor", "make", "python", "torchrun", "pip", "tensorboard", "git", "source", "cd")
"""What a command of a fence without a language begins with; in a console every line is one."""

ELSEWHERE: Mapping[str, str] = {
    "git": "fetches the checkout that the tests run in",
    "cd": "the sandbox is the directory",
    "source": "the environment that the tests run in",
    ".": "the environment that the tests run in",
    "pip": "installs; make test did",
    "tensorboard": "another program's server; what it reads is read by tests/e2e/test_tracking.py",
    "jq": "another program that reads --json",
}
"""Programs that are not run, with the reason."""

ANSWERS_ONE = (["collect", "gate"],)
"""Commands whose exit code 1 is an answer: the labels may not be released."""

FEEDERS = ("echo", "printf", "cat")
_FENCE = re.compile(r"^( *)```([^\n`]*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"(^|\s)#.*")
_INLINE = re.compile(r"(?<!`)`(candor [^`\n]+)`(?!`)")


@dataclass(frozen=True)
class Shown:
    """A command as documentation shows it. A ``synopsis`` ([OPTIONS], text in passing) is parsed and not executed."""

    text: str
    synopsis: bool = False


def commands(text: str) -> list[Shown]:
    """The commands in the fenced blocks of a page, in order, and those in passing."""
    found: list[Shown] = []
    for _, info, body in _FENCE.findall(text):
        language = info.strip()
        if language and language not in SHELLS:
            continue
        lines = [line.strip() for line in re.sub(r"\\\n\s*", " ", body).splitlines()]
        prompted = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        for line in prompted or lines:
            if line and not line.startswith("#") and (language or line.split()[0] in STARTS):
                found.append(Shown(line, synopsis="[--" in line or "..." in line))
    passing = _INLINE.findall(_FENCE.sub("", text))
    return found + [Shown(line, synopsis=True) for line in passing]


@dataclass
class Sandbox:
    """Where commands are executed: a directory that holds what the documentation's names stand for."""

    folder: Path
    root: Path  # of the repository

    def problems(self, shown: Sequence[Shown]) -> list[str]:
        """One line per command that is not there, is refused or fails."""
        return [f"{one.text}: {wrong}" for one in shown for wrong in self._problem(one)]

    def _problem(self, shown: Shown) -> Iterator[str]:
        if shown.synopsis:
            yield from unknown_words(shown.text)
            return
        given = ""
        for words in _parts(shown.text):
            if not words:
                continue
            words, source, target = _redirected(words)
            if source:
                given = (self.folder / source).read_text(encoding="utf-8")
            done = self._execute(words, given)
            if isinstance(done, str):
                yield done
                return
            given = done.stdout
            if target:
                (self.folder / target).write_text(given, encoding="utf-8")

    def _execute(self, words: list[str], given: str) -> Any:
        """The finished command, or what is wrong with it."""
        program = Path(words[0]).name
        if program == "candor":
            return _in_process(words[1:], given)
        if words[:3] == ["python", "-m", "candor"]:
            return _in_process(words[3:], given)
        if program == "make":
            return self._make(words)
        if program in ("python", "torchrun"):
            return self._script(words)
        if program in FEEDERS:
            return subprocess.run(words, input=given, cwd=self.folder, capture_output=True, text=True, check=True)
        if program in ELSEWHERE:
            return subprocess.CompletedProcess(words, 0, stdout="", stderr="")
        return f"nobody knows the program {program!r}"

    def _make(self, words: list[str]) -> Any:
        """What make would do is asked for; options that it would pass on (ARGS) have to be known to who gets them."""
        outside = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        done = subprocess.run(
            ["make", "-n", "--no-print-directory", *words[1:]],
            cwd=self.root,
            env=outside,  # the tests themselves may run under make, which would tell where it is
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            return f"make refuses it: {done.stderr.strip()}"
        if any(word.startswith("ARGS=") for word in words):
            last = shlex.split(done.stdout.splitlines()[-1])
            program = Path(last[0]).name
            if program == "candor":
                return (unknown_words(shlex.join(["candor", *last[1:]])) or [done])[0]
            return self._script(last) if program == "python" else done
        return done

    def _script(self, words: list[str]) -> Any:
        """Scripts measure for minutes: that they are there and know their options is what is checked."""
        script = next((word for word in words[1:] if word.endswith(".py")), None)
        module = words[words.index("-m") + 1] if "-m" in words else None
        name = script or (module or "").replace(".", "/") + ".py"
        package = (module or "").replace(".", "/") + "/__main__.py"
        files = [self.root / name, self.root / package, self.root / "src" / name, self.root / "src" / package]
        file = next((file for file in files if file.is_file()), None)
        if file is None:
            return f"there is no {name}"
        text = "".join(path.read_text(encoding="utf-8") for path in file.parent.glob("*.py"))
        after = words[words.index(script or module or "") + 1 :]
        unknown = [word for word in after if word.startswith("--") and word.partition("=")[0] not in text]
        return f"{name} knows no {unknown[0]}" if unknown else subprocess.CompletedProcess(words, 0, "", "")


def _in_process(arguments: list[str], given: str) -> Any:
    """A candor command in this process: quick, since what it imports is there."""
    with redirect_stderr(StringIO()):
        result = CliRunner().invoke(cli.app, arguments, input=given, prog_name="candor")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return f"{type(result.exception).__name__}: {result.exception}"
    if result.exit_code != 0 and not (result.exit_code == 1 and arguments[:2] in ANSWERS_ONE):
        return f"exit {result.exit_code}: {result.stderr.strip()}"
    return subprocess.CompletedProcess(arguments, 0, stdout=result.stdout, stderr=result.stderr)


def _parts(line: str) -> list[list[str]]:
    """The commands of a line, one after the other: what is behind a # at a word's start is said to people."""
    lexer = shlex.shlex(_COMMENT.sub("", line), posix=True, punctuation_chars="|&;")
    lexer.whitespace_split, lexer.commenters = True, ""
    parts: list[list[str]] = [[]]
    for token in lexer:
        if set(token) <= set("|&;"):
            parts.append([])
        elif parts[-1] or not re.fullmatch(r"[A-Z_]+=.*", token):  # variables before a command are its environment
            parts[-1].append(token)
    return parts


def _redirected(words: list[str]) -> tuple[list[str], str, str]:
    """The command without its redirections, the file that it reads and the file that it writes."""
    kept, source, target = list(words), "", ""
    for sign in ("<", ">"):
        if sign in kept[:-1]:
            place = kept.index(sign)
            name = kept[place + 1]
            source, target = (name, target) if sign == "<" else (source, name)
            del kept[place : place + 2]
    return kept, source, target


def unknown_words(line: str) -> list[str]:
    """Commands and options of a synopsis that the command line does not have."""
    command: Any = typer.main.get_command(cli.app)
    names: list[str] = []
    for word in re.sub(r"[\[\]]|\.\.\.", " ", _COMMENT.sub("", line)).split()[1:]:
        below = getattr(command, "commands", {})
        if word in below:
            command = below[word]
        elif below and re.fullmatch(r"[a-z]+", word):
            return [f"no command {word!r}"]
        elif word.startswith("--"):
            names.append(word.partition("=")[0])
    known = {option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts]}
    return [f"no option {name}" for name in names if name not in {*known, "--help"}]


def links(folder: Path, names: Mapping[str, Path]) -> None:
    """Puts what the documentation's names stand for where it says they are."""
    for name, real in names.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            place.symlink_to(real)
