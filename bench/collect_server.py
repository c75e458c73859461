"""A labelling server in a process of its own, for benchmarks and tests that load it, kill it and start it again.

python -m bench.collect_server DATABASE PORT
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

HOST = "127.0.0.1"


class ServerProcess:
    """Starts a server on a port of its own; ``kill`` is kill -9, and ``start`` brings it back on the same port."""

    def __init__(self, database: str, log: Path) -> None:
        self.database, self.log = database, log
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, seconds: float = 60.0) -> None:
        """Returns when the server answers. Raises RuntimeError, with its log, where it does not."""
        command = [sys.executable, "-m", "bench.collect_server", self.database, str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | {"OMP_NUM_THREADS": "1"})
        end = time.monotonic() + seconds
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise RuntimeError(f"the server did not start: {self.log.read_text()[-3000:]}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.port}/api/health", timeout=5) as reply:
                return bool(reply.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def kill(self) -> None:
        """The process gets no chance to finish anything."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        return int(taken.getsockname()[1])


def serve(database: str, port: int) -> None:
    """Serves until it is told to stop."""
    from candor.collect import serve as collect
    from candor.projects.database import open_database

    opened = open_database(database)
    try:
        collect.serve(opened, collect.listening(HOST, port))
    finally:
        opened.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database")
    parser.add_argument("port", type=int)
    arguments = parser.parse_args()
    serve(arguments.database, arguments.port)


if __name__ == "__main__":
    main()
