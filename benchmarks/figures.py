"""What a benchmark says: a figure beside its limit, the median of interleaved rounds, with the spread."""

import json
import os
import platform
import sqlite3
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests import brokers, postgres

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row of the table; `must` and `reach` are bounds on `value`, from below unless `at_most`."""

    case: str
    name: str
    against: str
    """What the figure is divided by, or its unit when it is no ratio."""
    value: float
    low: float
    high: float
    rounds: int
    must: float | None = None
    reach: float | None = None
    at_most: bool = False
    detail: str = ""
    """The absolute figures behind it, for people: they hold for one machine at one time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All figures of one case, and where and when they were measured."""

    case: str
    command: str
    date: str
    machine: str
    versions: Mapping[str, str] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()


def ratio(
    case: str,
    name: str,
    ours: Sequence[float],
    theirs: Sequence[float],
    *,
    against: str,
    unit: str,
    must: float | None = None,
    reach: float | None = None,
    at_most: bool = False,
) -> Figure:
    """The median of the rounds' ratios, each of two figures that were measured one after the other."""
    ratios = [our / their for our, their in zip(ours, theirs, strict=True)]
    middle = f"{statistics.median(ours):,.5g} against {statistics.median(theirs):,.5g} {unit}"
    return Figure(
        case=case,
        name=name,
        against=against,
        value=statistics.median(ratios),
        low=min(ratios),
        high=max(ratios),
        rounds=len(ratios),
        must=must,
        reach=reach,
        at_most=at_most,
        detail=middle,
    )


def measure(
    case: str,
    name: str,
    values: Sequence[float],
    *,
    unit: str,
    must: float | None = None,
    reach: float | None = None,
    at_most: bool = True,
    detail: str = "",
) -> Figure:
    """The median of a figure that has a bound of its own."""
    return Figure(
        case=case,
        name=name,
        against=unit,
        value=statistics.median(values),
        low=min(values),
        high=max(values),
        rounds=len(values),
        must=must,
        reach=reach,
        at_most=at_most,
        detail=detail,
    )


def save(case: str, command: str, figures: Sequence[Figure], folder: Path = RESULTS) -> Report:
    """Write the report of a case, and print it."""
    report = Report(
        case=case,
        command=command,
        date=datetime.now(UTC).date().isoformat(),
        machine=machine(),
        versions=versions(),
        figures=tuple(figures),
    )
    folder.mkdir(exist_ok=True)
    (folder / f"{case}.json").write_text(json.dumps(asdict(report), indent=1) + "\n")
    for figure in figures:
        spread = f"{figure.low:.3g} to {figure.high:.3g}"
        print(f"{figure.name}: {figure.value:.3g} ({spread}) {figure.against}; {figure.detail}")
    return report


def machine() -> str:
    """Cores, memory, system: what a reader needs to compare."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release().split('-')[0]}, {platform.machine()}"


def versions() -> dict[str, str]:
    """Of everything that was measured."""
    found = {"Python": platform.python_version(), "SQLite": sqlite3.sqlite_version}
    found |= {name: version(name) for name in ("metergate", "sqlalchemy", "psycopg", "paho-mqtt")}
    if broker := brokers.binaries():
        said = subprocess.run([broker[0], "-h"], capture_output=True, text=True, check=False).stdout
        found["Mosquitto"] = said.split()[2] if said.startswith("mosquitto version") else "unknown"
    if folder := postgres.binaries():
        said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
        found["PostgreSQL"] = said.split()[2]
    return found
