"""A real PostgreSQL as a child process on a free port, from the machine's own binaries."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

FIX = "apt-get install postgresql"


def binaries() -> Path | None:
    """The folder with initdb and postgres, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    if found:
        return found[0].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


@dataclass
class Cluster:
    """A throw-away cluster that can be stopped and started again."""

    home: Path
    folder: Path
    user: str | None
    port: int
    durable: bool = False
    """Whether it syncs to the disk: only what measures needs that."""

    @property
    def url(self) -> str:
        """The URL of its databases, without the name of one at its end."""
        return f"postgresql://metergate@127.0.0.1:{self.port}"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= "
        options += f"-c fsync={'on' if self.durable else 'off'}"
        self._run(*self._control(), "-o", options, "-l", self.home / "log", "start")

    def stop(self, mode: str = "immediate") -> None:
        self._run(*self._control(), "-m", mode, "stop")

    def initialise(self) -> None:
        words = ("-U", "metergate", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        self._run(self.folder / "initdb", "-D", self.home / "data", *words)

    def is_running(self) -> bool:
        return (self.home / "data" / "postmaster.pid").exists()

    def _control(self) -> tuple[str | Path, ...]:
        return (self.folder / "pg_ctl", "-D", self.home / "data", "-w", "-t", "60")

    def _run(self, *words: str | Path) -> None:
        subprocess.run(words, check=True, capture_output=True, user=self.user, cwd=self.home)


@contextmanager
def cluster(*, durable: bool = False) -> Iterator[Cluster]:
    """A running cluster of one's own."""
    folder = binaries()
    assert folder is not None
    # PostgreSQL refuses root, so it runs as `postgres` or `nobody` there.
    user = None
    if os.geteuid() == 0:
        names = {entry.pw_name for entry in pwd.getpwall()}
        user = "postgres" if "postgres" in names else "nobody"
    home = Path(tempfile.mkdtemp(prefix="metergate-pg-"))
    try:
        if user:
            shutil.chown(home, user)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        it = Cluster(home=home, folder=folder, user=user, port=port, durable=durable)
        it.initialise()
        it.start()
        try:
            yield it
        finally:
            if it.is_running():
                with contextlib.suppress(subprocess.CalledProcessError):
                    it.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def server() -> Iterator[str]:
    """A throw-away cluster; yields the URL of its `postgres` database without a name of a database at its end."""
    with cluster() as it:
        yield it.url
