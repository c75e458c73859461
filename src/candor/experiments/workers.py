"""Processes that work through jobs: started once, fed until nothing is left, ended between updates when asked to.

A plain child process with a pipe and not a process pool of the standard library: a pool starts its children by running
the caller's main module again, and a Ctrl-C reaches them in the middle of an update.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from types import FrameType
from typing import Any, Generic, Protocol, TypeVar

from candor.errors import InputError, Terminated

Job = TypeVar("Job")
Result = TypeVar("Result")
Taken = TypeVar("Taken", contravariant=True)

PATIENCE_SECONDS = 120.0
"""How long a worker that was asked to stop may take to end its update and save it."""


PARENT_SECONDS = 1.0
"""How often a worker looks whether its parent is still there."""


class Jobs(Protocol, Generic[Job, Taken]):
    """What there is to do: the caller's side of the work."""

    def take(self) -> Job | None:
        """The next job that can be begun; None where there is none until another is done."""
        ...

    def done(self, job: Job, result: Taken) -> None:
        """A job is done; may make others ready."""
        ...

    def failed(self, job: Job, error: InputError) -> None:
        """A job failed in a way that the user can set right; may raise to stop everything."""
        ...

    def broken(self, job: Job, traceback: str) -> None:
        """A worker met a mistake of the program in a job; may raise to stop everything."""
        ...


def perform(jobs: Jobs[Job, Result], work: Callable[[Job], Result], *, workers: int) -> None:
    """Does all jobs: in this process where ``workers`` is 1, else in that many, which share out the cores.

    ``work`` is a function of a module; jobs and results are pickled. Returns when nothing is ready and nothing is being
    done. Raises InputError for a worker that dies, what ``jobs.failed``
    and ``jobs.broken`` raise, and in one process a mistake of the program as it is;
    whatever ends it, each worker first ends its update and saves it.
    """
    if workers > 1:
        _perform_in_processes(jobs, work, workers)
        return
    while (job := jobs.take()) is not None:
        try:
            result = work(job)
        except InputError as error:
            jobs.failed(job, error)
        else:
            jobs.done(job, result)


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _perform_in_processes(jobs: Jobs[Job, Result], work: Callable[[Job], Result], number: int) -> None:
    threads = max(1, cores() // number)
    with _ended() as workers:
        busy: dict[Connection, tuple[_Worker, Job]] = {}
        while True:
            idle = [worker for worker in workers if worker.connection not in busy]
            while len(busy) < number and (job := jobs.take()) is not None:
                if idle:
                    worker = idle.pop()
                else:
                    worker = _Worker.started(threads)
                    workers.append(worker)
                with suppress(OSError):  # one that died since its last job: what follows finds that out
                    worker.connection.send((work, job))
                busy[worker.connection] = (worker, job)
            if not busy:
                return
            for ready in wait(list(busy)):
                assert isinstance(ready, Connection)
                worker, job = busy.pop(ready)
                _settle(jobs, worker, job)


def _settle(jobs: Jobs[Job, Result], worker: _Worker, job: Job) -> None:
    try:
        kind, value = worker.connection.recv()
    except (EOFError, OSError):
        code = worker.process.wait()
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        fix = "where memory ran out, give fewer --workers; the same command then goes on"
        raise InputError(f"a worker process ended {how}", where=str(job), fix=fix) from None
    if kind == "failed":
        jobs.failed(job, value)
    elif kind == "broken":
        jobs.broken(job, value)
    else:
        jobs.done(job, value)


@dataclass(frozen=True)
class _Worker:
    process: subprocess.Popen[bytes]
    connection: Connection

    @classmethod
    def started(cls, threads: int) -> _Worker:
        """A process group of its own: a Ctrl-C at the terminal reaches this process alone, which ends the workers."""
        ours, theirs = Pipe()
        paths = os.pathsep.join(path for path in sys.path if path)
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"from candor.experiments.workers import serve; serve({theirs.fileno()})",
            ],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": str(threads)},
            process_group=0,
        )
        theirs.close()
        return cls(process, ours)


@contextmanager
def _ended() -> Iterator[list[_Worker]]:
    """The workers of the block; at its end each is asked to stop and waited for. A second Ctrl-C kills them."""
    workers: list[_Worker] = []
    try:
        yield workers
    finally:
        try:
            for worker in workers:
                worker.connection.close()  # an idle one ends by itself
                worker.process.terminate()
            for worker in workers:
                with suppress(subprocess.TimeoutExpired):
                    worker.process.wait(PATIENCE_SECONDS)
        finally:
            for worker in workers:
                worker.process.kill()
                worker.process.wait()


def serve(handle: int) -> None:
    """A worker's life: does the jobs that come through the pipe until it closes or a signal ends it."""
    connection = Connection(handle)

    def stop(number: int, frame: FrameType | None) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, stop)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    try:
        with suppress(EOFError, OSError, KeyboardInterrupt):  # the caller is gone, or wants this process to end
            while True:
                work, job = connection.recv()
                connection.send(_outcome(work, job))
    finally:
        with suppress(Terminated):  # it may come while it is being turned off
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends anyway, without a traceback from its clearing up


def _end_with(parent: int) -> None:
    """Ends this process as a signal would when its parent is gone, however that ended.

    The pipe tells a worker so only between two jobs, and a job may take an hour.
    """
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def _outcome(work: Callable[[Any], Any], job: Any) -> tuple[str, Any]:
    try:
        return "done", work(job)
    except InputError as error:
        return "failed", error
    except Exception:
        return "broken", traceback.format_exc()
