"""Tryton's subscription module: consumption, invoice and posting of one month, beside our close of as many objects.

Both are measured in a process that has done it before. It is not the same work: Tryton multiplies a fixed quantity,
makes a line an object and books the ledger; we add up usage records, group them into lines and keep no ledger.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import close, stage
from benchmarks.figures import Figure, measure, ratio
from benchmarks.peers.environments import python_environment

RECORD_CACHE = 200_000
"""Tryton's default of 2,000 makes it many times slower on an invoice of this size."""
REQUIREMENTS = ("trytond~=7.0.0", "trytond-sale-subscription~=7.0.0", "proteus~=7.0.0")
MOST_MONTHS = 11
PREPARE_SECONDS = 900
RECORDS_AN_OBJECT = 100
NOTE = f"not the same work, see above; [cache] record = {RECORD_CACHE}"


def run(scale: str, rounds: int) -> Iterator[Figure]:
    """Objects a second with and without posting: Tryton, our close of as many, and of ten times as many, in turn."""
    programs = python_environment("tryton", *REQUIREMENTS)
    objects = 1000 if scale == "full" else 10
    ours: dict[int, list[float]] = {objects: [], objects * 10: []}
    posted: list[float] = []
    unposted: list[float] = []
    with (
        tempfile.TemporaryDirectory(prefix="metergate-bench-") as folder,
        stage.store("sqlite") as store,
        _running(Path(folder), programs, objects) as process,
    ):
        names = {size: close.prepare(store, size, size * RECORDS_AN_OBJECT) for size in ours}
        for _ in range(min(rounds, MOST_MONTHS)):
            took = _ask(process)
            if took["lines"] != objects:
                raise RuntimeError(f"Tryton invoiced {took['lines']} of {objects} objects")
            posted.append(objects / (took["consumption"] + took["invoice"] + took["posting"]))
            unposted.append(objects / (took["consumption"] + took["invoice"]))
            for size, name in names.items():
                ours[size].append(size / float(close.closed(store.create("round", name), again=True)["seconds"]))
    yield measure("peers", close.TRYTON, posted, unit=f"objects/s, {objects:,} objects ({NOTE})", at_most=False)
    for size, speeds in ours.items():
        for words, theirs in (("consumption, invoice, posting", posted), ("without posting", unposted)):
            judged = theirs is posted and scale == "full"
            yield ratio(
                "peers", f"close of {size:,} objects, sqlite", speeds, theirs,
                against=f"Tryton 7.0, {objects:,} objects, {words} ({NOTE})", unit="objects/s",
                must=200 if judged else None, reach=1000 if judged else None,
            )  # fmt: skip


class _running:  # noqa: N801 - used as a function
    """The script in Tryton's environment, prepared; ended at the end of the block."""

    def __init__(self, folder: Path, python: Path, objects: int) -> None:
        database = folder / "tryton"
        database.mkdir()
        config = folder / "trytond.conf"
        config.write_text(f"[database]\nuri = sqlite://\npath = {database}\n\n[cache]\nrecord = {RECORD_CACHE}\n")
        (database / "tryton.sqlite").touch()
        secret = folder / "password"
        secret.write_text("benchmark\n")
        admin = [str(python / "trytond-admin"), "-c", str(config), "-d", "tryton", "--email", "a@example.org"]
        done = subprocess.run(
            [*admin, "-u", "sale_subscription", "--activate-dependencies"],
            env={**os.environ, "TRYTONPASSFILE": str(secret)},
            capture_output=True,
            text=True,
            timeout=PREPARE_SECONDS,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"trytond-admin failed: {done.stderr[-500:]}")
        script = Path(__file__).parent / "tryton_script.py"
        self._log = (folder / "tryton.log").open("w+")
        self._process = subprocess.Popen(
            [str(python / "python"), str(script), str(config), "tryton", str(objects)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=folder,
        )

    def __enter__(self) -> "subprocess.Popen[str]":
        try:
            _answer(self._process)
        except RuntimeError as error:
            self._log.seek(0)
            reason = self._log.read()[-2000:]
            self.__exit__()
            raise RuntimeError(f"{error}: {reason}") from None
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream is not None:
                stream.close()


def _ask(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return _answer(process)


def _answer(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("Tryton ended")
    answer: dict[str, Any] = json.loads(line)
    return answer
