"""Plays seeds and compares: what the engine charged against what the auditor says is owed."""

import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from sqlmodel import Session

from billing.core.money import exact_text
from billing.verify import differences, verify
from gateway.simulation.auditor import owed
from gateway.simulation.coupons import wrong_coupons
from gateway.simulation.facts import REGISTER_CHARGE, charged, documents
from gateway.simulation.history import history
from gateway.simulation.player import DEATHS, MortalDatabase, Played, Player
from gateway.simulation.story import History
from storage import invoices, quarantine
from storage.database import Database

DIGITS = {"EUR": 2, "JPY": 0, "KWD": 3}
MEMORY = Path("/dev/shm")  # noqa: S108 - a file system in memory, where there is one: a simulation is thrown away


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one seed came to; no `differences` means that the engine and the auditor agree."""

    seed: int
    objects: int
    messages: int
    deaths: int
    invoices: int
    differences: tuple[str, ...]


class Workshop:
    """Where seeds are played one after another on SQLite, each on a new copy of the empty tables in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._path, self._template = folder / "seed.db", folder / "template.db"
        self._database = MortalDatabase(f"sqlite:///{self._path}")
        made = Database(f"sqlite:///{self._template}")
        try:
            made.migrate()
        finally:
            made.dispose()

    def empty(self) -> MortalDatabase:
        """The one database of this place, with nothing in its tables and nobody connected."""
        self._database.dispose()
        for left in self._path.parent.glob(f"{self._path.name}*"):
            left.unlink()
        shutil.copy(self._template, self._path)
        return self._database

    def judge(self, seed: int, *, deaths: float = DEATHS) -> Verdict:
        """Play one seed, and judge what the engine made of it."""
        return judge_on(history(seed), self.empty(), deaths=deaths)


def judge_on(story: History, database: MortalDatabase, *, deaths: float = DEATHS) -> Verdict:
    """Play a history on an empty, migrated database, and judge what the engine made of it."""
    played = Player(story, database, deaths=deaths).play()
    try:
        with database.snapshot() as session:
            found = [*played.refused, *compare(story, played, session)]
            issued = len(invoices.list_invoices(session))
    finally:
        database.dispose()
    return Verdict(
        seed=story.seed,
        objects=len(story.devices),
        messages=sum(len(device.messages) for device in story.devices),
        deaths=played.deaths,
        invoices=issued,
        differences=tuple(found),
    )


@contextmanager
def workshop() -> Iterator[Workshop]:
    """A place to play in, in memory where that is possible."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None, prefix="metergate-") as name:
        yield Workshop(Path(name))


def new_seed() -> int:
    """A seed that nobody has seen."""
    return random.SystemRandom().randrange(10**9)


def compare(story: History, played: Played, session: Session) -> Iterator[str]:
    """Every difference between what the engine charged for a history and what the auditor says is owed."""
    pooled, changed = _pooled(story), {device.reference for device in story.devices if device.changes}
    wanted, found = owed(story, played.taken_at), charged(session, pooled)
    for key in sorted(wanted.keys() | found.amounts.keys()):
        ours, theirs = found.amounts.get(key, Fraction(0)), wanted.get(key, Fraction(0))
        given = found.given.get(key, Fraction(0))
        # What was given back is not taken back a second time when the period turns out to be worth less. Of an object
        # that changed plans, and of a register, several schedules are under one key.
        several = key[0] in changed or key[1] == REGISTER_CHARGE
        most = theirs + found.moved.get(key, Fraction(0))
        if not (theirs <= ours <= most if several else ours == max(theirs, given)):
            reference, charge, period = key
            yield (
                f"{reference}, {charge}, period of {period}: {exact_text(ours)} was charged, "
                f"the auditor says {exact_text(theirs)}"
            )
    digits = DIGITS[story.catalogue["customers"][0]["currency"]]
    yield from wrong_coupons(story.catalogue["contracts"], list(documents(session)), digits)
    yield from (finding.message for finding in differences(verify(session)))
    conflicts = sum(message.conflicting for device in story.devices for message in device.messages)
    refused = quarantine.counts(session)
    if set(refused) - {"conflict"} or (conflicts > 0) != ("conflict" in refused):
        yield f"{conflicts} messages conflict, but the quarantine holds {refused}"


def _pooled(story: History) -> set[str]:
    """The charges of pools, whose amounts are compared as a whole."""
    charges = [charge for plan in story.catalogue["plans"] for charge in plan["charges"]]
    return {charge["name"] for charge in charges if charge.get("scope", "item") != "item"}
