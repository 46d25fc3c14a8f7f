"""A gateway in a process of its own that can be made to die at a named point, or to be slow.

It is wired here as `metergate run` wires it, with a database that is watched from outside: the production code knows
nothing of these faults.
"""

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlmodel import Session

from config.clock import SystemClock
from config.settings import Settings
from gateway.app import Gateway
from gateway.cli.main import main
from storage import usage
from storage.database import Database

POINTS = ("before insert", "after insert", "before commit", "after commit")
"""Where the process can be killed, around the `nth` transaction that writes usage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is to go wrong; nothing by default."""

    kill_at: str = ""
    nth: int = 1
    transaction_seconds: float = 0
    """How long every transaction that wrote usage takes before it commits."""
    busy_timeout_ms: int = 10_000


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class FaultyDatabase(Database):
    """A database with its fault around the transactions that write usage."""

    def __init__(self, url: str, fault: Fault) -> None:
        super().__init__(url, busy_timeout_ms=fault.busy_timeout_ms)
        self._fault = fault
        self._local = threading.local()
        self._written = 0
        event.listen(self.engine, "commit", self._commit)
        self._watch()

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        self._local.writes = False
        with super().transaction() as session:
            yield session
        if self._local.writes:
            self._local.writes = False
            self._point("after commit")

    def _watch(self) -> None:
        """Stand before the facts and behind them, in this process: no event of SQLAlchemy sees what writes them."""
        record = usage.record

        def watched(session: Session, facts: Sequence[usage.Row], *others: Any, **named: Any) -> usage.Recorded:
            if not facts:
                return record(session, facts, *others, **named)
            self._local.writes = True
            self._written += 1
            self._point("before insert")
            recorded = record(session, facts, *others, **named)
            self._point("after insert")
            return recorded

        usage.record = watched

    def _commit(self, _c: Any) -> None:
        if getattr(self._local, "writes", False):
            self._point("before commit")
            time.sleep(self._fault.transaction_seconds)

    def _point(self, name: str) -> None:
        if self._fault.kill_at == name and self._written == self._fault.nth:
            die()


def run(settings: Mapping[str, Any], fault: Fault, log: Path) -> None:
    """Run a gateway until SIGTERM; its log goes to a file."""
    logging.basicConfig(level=logging.INFO, filename=log, format="%(levelname)s %(message)s", force=True)
    for name in ("apscheduler", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    chosen = Settings(**settings)
    with Gateway(FaultyDatabase(chosen.database_url, fault), SystemClock(), chosen):
        stop.wait()


def run_command(settings: Mapping[str, Any], _fault: Fault, log: Path) -> None:
    """`metergate run`, as a person starts it; what it prints goes to the log."""
    with log.open("ab") as target:
        for stream in (1, 2):
            os.dup2(target.fileno(), stream)
    os.environ["METERGATE_HTTP_LISTEN"] = ""
    os.environ.update({f"METERGATE_{name.upper()}": str(value) for name, value in settings.items()})
    main(["run"])


@dataclass
class GatewayProcess:
    """A handle on it: started, killed, started again."""

    settings: dict[str, Any]
    log: Path
    process: Any = field(default=None)

    def start(self, fault: Fault | None = None, *, command: bool = False) -> None:
        """Start it, with a fault; `command` starts `metergate run` itself, without any."""
        context = multiprocessing.get_context("forkserver")
        # Forked from a process that has imported everything and runs no thread: a tenth of a new interpreter's time.
        context.set_forkserver_preload([__name__])
        arguments = (self.settings, fault or Fault(), self.log)
        self.process = context.Process(target=run_command if command else run, args=arguments, daemon=True)
        self.process.start()

    def is_running(self) -> bool:
        return self.process is not None and self.process.is_alive()

    def kill(self) -> None:
        self.process.kill()
        self.process.join(10)

    def terminate(self, seconds: float) -> int | None:
        """SIGTERM; its exit code, or None when it did not end in time."""
        self.process.terminate()
        self.process.join(seconds)
        return self.process.exitcode  # type: ignore[no-any-return] # the context's Process is untyped

    def exitcode(self, seconds: float) -> int | None:
        self.process.join(seconds)
        return self.process.exitcode  # type: ignore[no-any-return] # the context's Process is untyped

    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def memory_kib(self, *, peak: bool = False) -> int:
        """What it has in memory now, or had at the most."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        name = "VmHWM:" if peak else "VmRSS:"
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(name))


@contextmanager
def gateway_process(log: Path, **settings: Any) -> Iterator[GatewayProcess]:
    """A gateway that is not started yet; whatever runs at the end is killed."""
    it = GatewayProcess(settings=settings, log=log)
    try:
        yield it
    finally:
        if it.is_running():
            it.kill()
