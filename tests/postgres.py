"""A real PostgreSQL as a child process on a free port, from the machine's own binaries."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FIX = "apt-get install postgresql"


def binaries() -> Path | None:
    """The folder with initdb and postgres, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    if found:
        return found[0].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


@contextmanager
def server() -> Iterator[str]:
    """A throw-away cluster; yields the URL of its `postgres` database without a name of a database at its end."""
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

        def run(*words: str | Path, check: bool = True) -> None:
            subprocess.run(words, check=check, capture_output=True, user=user, cwd=home)

        run(folder / "initdb", "-D", home / "data", "-U", "metergate", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        control = [str(folder / "pg_ctl"), "-D", str(home / "data"), "-w", "-t", "60"]
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        run(*control, "-o", options, "-l", str(home / "log"), "start")
        try:
            yield f"postgresql://metergate@127.0.0.1:{port}"
        finally:
            run(*control, "-m", "immediate", "stop", check=False)
    finally:
        shutil.rmtree(home, ignore_errors=True)
