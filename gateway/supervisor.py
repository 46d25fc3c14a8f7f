"""Keeps worker processes alive: starts them, starts again those that end, stops them all together.

The law: no worker outlives its supervisor. Each has the reading end of a pipe, and stops when it closes.
"""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Self

log = logging.getLogger(__name__)

STDIN = 0
BACKOFF_MIN_SECONDS, BACKOFF_MAX_SECONDS = 1.0, 30.0
STEADY_SECONDS = 60.0
"""A worker that ran for so long is healthy: the next start after its end is immediate again."""


class Workers:
    """Processes by name, each started with its command; a `with` block starts and stops them.

    `say` gets every line that a worker prints, with the worker's name. One that has not stopped after `stop_seconds` is
    killed, and the broker sends again what it had not stored.
    """

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]],
        say: Callable[[str, str], None],
        *,
        stop_seconds: float,
        backoff_seconds: float = BACKOFF_MIN_SECONDS,
    ) -> None:
        self._commands = dict(commands)
        self._say = say
        self._backoff_seconds = backoff_seconds
        self._stop_seconds = stop_seconds
        self._deadline = 0.0
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._failed: set[str] = set()
        self._threads = [
            threading.Thread(target=self._keep, args=(name,), name=f"keeps-{name}", daemon=True)
            for name in self._commands
        ]

    @property
    def failed(self) -> Sequence[str]:
        """The workers that did not end well when they were told to stop."""
        return sorted(self._failed)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def tell(self) -> None:
        """Tell all to stop, once; none is started again."""
        with self._lock:
            if self._stopping.is_set():
                return  # a second signal would kill one that is just about to end well
            self._deadline = time.monotonic() + self._stop_seconds
            self._stopping.set()
            for process in self._running.values():
                process.terminate()

    def __exit__(self, *_exc: object) -> None:
        self.tell()
        for thread in self._threads:
            thread.join(max(0.0, self._deadline - time.monotonic()))
        with self._lock:
            for name, process in self._running.items():
                log.error("%s did not stop within %g s and is killed", name, self._stop_seconds)
                process.kill()
        for thread in self._threads:
            thread.join()

    def _keep(self, name: str) -> None:
        delay = self._backoff_seconds
        while True:
            with self._lock:
                if self._stopping.is_set():
                    return
                process = self._start(name)
            began = time.monotonic()
            for line in process.stdout or ():
                self._say(name, line.rstrip("\n"))
            status = process.wait()
            with self._lock:
                del self._running[name]
                if self._stopping.is_set():
                    if status != 0:
                        self._failed.add(name)
                    _close(process)
                    return
            _close(process)
            if time.monotonic() - began >= STEADY_SECONDS:
                delay = self._backoff_seconds
            log.error("%s ended with status %d; it is started again in %g s", name, status, delay)
            self._stopping.wait(delay)
            delay = min(2 * delay, BACKOFF_MAX_SECONDS)

    def _start(self, name: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(  # noqa: S603 - our own command line, no shell
            self._commands[name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._running[name] = process
        return process


def metergate(*arguments: str) -> list[str]:
    """The command line that runs this `metergate` with `arguments`."""
    return [sys.executable, "-c", "from gateway.cli.main import main; main()", *arguments]


def when_orphaned(call: Callable[[], object]) -> None:
    """In a worker: call when the supervisor's end of the pipe closes, because it ended or was killed."""

    def watch() -> None:
        # Past sys.stdin, whose lock a thread must not hold when the interpreter ends.
        while os.read(STDIN, 1024):
            pass
        call()

    threading.Thread(target=watch, name="orphaned", daemon=True).start()


def _close(process: "subprocess.Popen[str]") -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
