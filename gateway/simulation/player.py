"""Plays a history through the engine, as a gateway would live it: batches, commands, closes, and sudden deaths.

The law: what was not acknowledged when the process dies is delivered again, to a process that remembers nothing.
"""

import heapq
import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count
from typing import Any

import yaml
from sqlmodel import Session

from billing import catalogue, control, lifecycle, registry, repricing
from billing.core.errors import BillingError
from billing.recording import Said
from billing.thresholds import bill_thresholds
from config.settings import Settings
from gateway.ingest import ingest_batch
from gateway.message import Message, Rules
from gateway.simulation.bookkeeper import Bookkeeper
from gateway.simulation.story import History, Repricing
from gateway.simulation.story import Message as Sent
from storage.database import Database
from storage.known import Known

BATCH_MAX = 7
HOUSEKEEPING_EVERY = timedelta(days=3)
CONFLICTS_LATER = timedelta(hours=3)
DEATHS = 0.08
"""The chance that the process dies at a transaction, half of them before the commit and half after it."""


class Death(BaseException):
    """The process dies here, after its commit or before: not an Exception, so that nothing can catch it and go on."""

    def __init__(self, *, committed: bool) -> None:
        super().__init__()
        self.committed = committed


class MortalDatabase(Database):
    """A database whose process may die around any commit.

    The statements that SQLAlchemy has compiled outlive a process here: they hold nothing that was read, and compiling
    them anew in every life was half the time of a simulation.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._chance, self._deaths = random.Random(0), 0.0  # noqa: S311 - repeatable is the point

    def live(self, chance: random.Random, deaths: float) -> None:
        """Begin as a new process: every connection is closed, and what was known is forgotten."""
        self.dispose()
        self.known = Known()
        self._chance, self._deaths = chance, deaths

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A transaction that may be the last thing that this process does."""
        fate = self._chance.random()
        with super().transaction() as session:
            yield session
            if fate < self._deaths / 2:
                raise Death(committed=False)
        if fate > 1 - self._deaths / 2:
            raise Death(committed=True)


@dataclass(slots=True)
class Played:
    """What the world saw of the play: when a message without a time of its own was first taken, and what went wrong."""

    taken_at: dict[tuple[str, str], datetime] = field(default_factory=dict)
    deaths: int = 0
    refused: list[str] = field(default_factory=list)
    """Answers to commands, and failures of closes, that should have been none."""


Step = tuple[datetime, int, "Callable[[datetime], None] | Sent"]


class Player:
    """One play of one history on one database, which is migrated and empty."""

    def __init__(self, history: History, database: MortalDatabase, *, deaths: float = DEATHS) -> None:
        self._history, self._database, self._deaths = history, database, deaths
        self._chance = random.Random(-1 - history.seed)  # noqa: S311 - repeatable is the point
        self._rules = Rules.of(Settings.model_construct())
        self._bookkeeper = Bookkeeper(history.seed)
        self.played = Played()

    def play(self) -> Played:
        """Play to the end; the database holds what the engine made of it."""
        steps: list[Step] = []
        order = count()
        self._database.live(self._chance, 0)
        self._begin()
        for device in self._history.devices:
            for command in device.commands:
                for repeat in range(command.deliveries):
                    at = command.at + timedelta(hours=26 * repeat)
                    steps.append((at, next(order), self._commanding(device.reference, command.command, command.body)))
            steps += [(at, next(order), sent) for sent in device.messages for at in sent.deliveries]
        steps += [(at, next(order), self._closing(until)) for at, until in self._history.closes]
        steps += [(it.at, next(order), self._repricing(it)) for it in self._history.repricings]
        steps += [(at, next(order), self._look) for at in self._history.looks]
        first, last = min(steps)[0], max(steps)[0]
        steps += [(at, next(order), self._keep_house) for at in _every(first, last, HOUSEKEEPING_EVERY)]
        heapq.heapify(steps)
        while steps:
            at, number, step = heapq.heappop(steps)
            if isinstance(step, Sent):
                batch: list[Step] = [(at, number, step)]
                while steps and isinstance(steps[0][2], Sent) and len(batch) < self._chance.randrange(1, BATCH_MAX):
                    batch.append(heapq.heappop(steps))
                self._take(batch, steps)
            else:
                self._survive(step, at)
        self._database.live(self._chance, 0)
        return self.played

    def _begin(self) -> None:
        now = self._history.devices[0].commands[0].at - timedelta(days=60)
        declared = json.loads(json.dumps(self._history.catalogue))
        declared["contracts"] = self._bookkeeper.contracts(declared["contracts"])
        text = yaml.safe_dump(declared, sort_keys=False)
        with self._database.transaction() as session:
            catalogue.apply(session, catalogue.load(text, "simulated.yaml"), now)
            created = registry.create_objects(
                session,
                [
                    registry.NewObject(reference=device.reference, attributes={"site": device.site})
                    for device in self._history.devices
                ],
                status="pending",
                now=now,
                origin="import",
            )
        self.played.refused += [str(each) for each in created if isinstance(each, BillingError)]
        self._restart()

    # --- living and dying ---

    def _restart(self) -> None:
        self._database.live(self._chance, self._deaths)

    def _survive(self, step: Callable[[datetime], None], at: datetime) -> None:
        """Do a step; after each death do it again, as a broker or an alarm would."""
        while True:
            try:
                step(at)
            except Death:
                self.played.deaths += 1
                self._restart()
                at += timedelta(seconds=7)
            else:
                return

    def _take(self, batch: list[Step], steps: list[Step]) -> None:
        """Hand over a batch; when the process dies, all of it is delivered again, mixed with what comes then."""
        now = batch[-1][0]
        arrived = [(sent, _message(sent, at)) for at, _, sent in batch if isinstance(sent, Sent)]
        committed = True
        try:
            ingest_batch(self._database, [message for _, message in arrived], self._rules, now=now)
        except Death as death:
            committed = death.committed
            self.played.deaths += 1
            self._restart()
            for _, number, sent in batch:
                at = now + timedelta(seconds=self._chance.randrange(1, 900))
                if isinstance(sent, Sent) and sent.conflicting:
                    at += CONFLICTS_LATER  # a batch may span days: what it conflicts with comes first here too
                heapq.heappush(steps, (at, number, sent))
        for sent, message in arrived:
            if committed and not sent.says_time:
                self.played.taken_at.setdefault((sent.reference, sent.sender_id), message.received_at)

    # --- steps ---

    def _commanding(self, reference: str, command: str, body: Any) -> Callable[[datetime], None]:
        def step(at: datetime) -> None:
            message = control.ControlMessage(
                object_reference=reference, command=command, body=json.dumps(body).encode()
            )
            with self._database.transaction() as session:
                control.execute(session, message, at)

        return step

    def _closing(self, until: date) -> Callable[[datetime], None]:
        def step(at: datetime) -> None:
            last = until == max(day for _, day in self._history.closes)
            self.played.refused += self._bookkeeper.close(self._database, until, at, last=last)

        return step

    def _repricing(self, told: Repricing) -> Callable[[datetime], None]:
        text = yaml.safe_dump({"plans": [{"name": told.plan, "charges": json.loads(json.dumps(told.charges))}]})

        def step(at: datetime) -> None:
            with self._database.transaction() as session:
                catalogue.apply(session, catalogue.load(text, "repriced.yaml"), at)
                repricing.migrate(session, told.plan, Said(now=at, origin="cli"), on=told.on)

        return step

    def _look(self, at: datetime) -> None:
        """Invoice what has passed its threshold."""
        report = bill_thresholds(self._database, at)
        self.played.refused += [f"{failure.contract}: {failure.message}" for failure in report.failures]

    def _keep_house(self, at: datetime) -> None:
        with self._database.transaction() as session:
            self.played.refused += repricing.take_planned(session, Said(now=at, origin="engine"))
        with self._database.transaction() as session:
            lifecycle.end_terms(session, at)


def _every(first: datetime, last: datetime, step: timedelta) -> Iterator[datetime]:
    at = first
    while at < last:
        at += step
        yield at


def _message(sent: Sent, at: datetime) -> Message:
    body: dict[str, Any] = {"metrics": {sent.metric: "VALUE"}}
    if sent.sender_id:
        body["id"] = sent.sender_id
    if sent.says_time:
        body["ts"] = sent.measured_at.isoformat()
    if sent.properties:
        body["properties"] = dict(sent.properties)
    text = json.dumps(body).replace('"VALUE"', str(sent.value))
    return Message(topic=f"devices/{sent.reference}/telemetry", payload=text.encode(), received_at=at)
