"""The command line in processes that start in a moment: forks of one that has imported everything already.

Starting Python with torch and transformers takes seconds; tests that stop a run at many moments start it many times.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

SERVER = """
import json, os, sys, traceback
import candor.api, candor.cli, candor.pipeline.progress, rich.console
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM, LlamaForSequenceClassification
for line in sys.stdin:
    arguments, errors = json.loads(line)
    pid = os.fork()
    if not pid:
        file = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        sys.argv[1:] = arguments
        code = 1
        try:
            candor.cli.main()
        except SystemExit as end:
            code = end.code
        except BaseException:
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Server:
    """Runs one command after the other."""

    def __init__(self, stub: str, environment: Mapping[str, str]) -> None:
        command = [sys.executable, "-c", f"{stub}\n{SERVER}"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(environment))
        self._folder = tempfile.TemporaryDirectory()
        self._count = 0

    def start(self, *arguments: str) -> Forked:
        """Starts the command; the one before has to have ended."""
        assert self._process.stdin is not None
        self._count += 1
        errors = Path(self._folder.name) / str(self._count)
        self._process.stdin.write(json.dumps([arguments, str(errors)]).encode() + b"\n")
        self._process.stdin.flush()
        return Forked(self, int(self.line(None)), errors)

    def line(self, seconds: float | None) -> bytes:
        """The server's next line; empty where it does not come in time."""
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        return self._process.stdout.readline() if ready else b""

    def close(self) -> None:
        self._process.communicate()
        self._folder.cleanup()


class Forked:
    """What tests need of a process."""

    def __init__(self, server: Server, pid: int, errors: Path) -> None:
        self._server, self.pid, self._errors = server, pid, errors
        self.returncode: int | None = None

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def poll(self) -> int | None:
        if self.returncode is None:
            line = self._server.line(0)
            self.returncode = int(line) if line else None
        return self.returncode

    def wait(self, seconds: float = 120) -> int:
        if self.returncode is None:
            line = self._server.line(seconds)
            assert line, "it did not end"
            self.returncode = int(line)
        return self.returncode

    @property
    def told(self) -> str:
        """What it has written so far, both streams."""
        return self._errors.read_text() if self._errors.exists() else ""
