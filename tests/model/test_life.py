"""Any order of activations, suspensions, changes, usage and closes, against a reference that shares no code.

`METERGATE_MODEL_EXAMPLES=200 pytest tests/model` tries other and more orders than those of every run.
"""

import os
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from billing.close import close
from billing.core.errors import BillingError
from billing.lifecycle import end_terms
from billing.verify import differences, verify
from config.settings import Settings
from gateway.ingest import ingest_batch
from gateway.message import Message, Rules
from gateway.simulation.judge import Workshop, workshop
from storage import detail, invoices
from tests.model.reference import DAY, Life
from tests.usecases.changing import SELLER, World, noon

WANTED = int(os.environ.get("METERGATE_MODEL_EXAMPLES", "0"))
EXAMPLES, STEPS = WANTED or 10, 10
FIRST = date(2022, 1, 20)
LAST = date(2024, 1, 31)
PLACES = [(contract, plan) for contract in ("North", "South") for plan in ("Basic", "Plus")]
TEXT = """
plans:
  - name: Basic
    charges:
      - {name: Fee, type: recurring, timing: advance, amount: "9.99", vat_rate: "20"}
      - name: Usage
        type: usage
        vat_rate: "20"
        calculator: {metric: usage, price: {model: per_unit, unit_price: "0.25"}}
  - name: Plus
    charges:
      - {name: Fee, type: recurring, timing: arrears, amount: "31", vat_rate: "20"}
      - name: Usage
        type: usage
        vat_rate: "20"
        calculator:
          metric: usage
          price: {model: graduated, tiers: [{up_to: 10, unit_price: "1"}, {up_to: null, unit_price: "0.10"}]}
contracts:
  - {name: North, customer: FLEET, starts_on: 2022-01-01, subscriptions: [Basic, Plus]}
  - {name: South, customer: OTHER, starts_on: 2022-01-01, subscriptions: [Basic, Plus]}
"""
KINDS = ("activate", "suspend", "suspend", "resume", "resume", "change_plan", "transfer", "change_plan", "terminate")
MOST_RUNNING = 4
days_back = st.sampled_from((0, 0, 0, 1, 5, 20, 45))


COMMANDS = st.tuples(
    st.sampled_from(KINDS), st.integers(0, 99), days_back, st.sampled_from(PLACES), st.sampled_from((1, 2, 12))
)
RECORDS = st.tuples(st.integers(0, 99), st.integers(0, 30_000), st.integers(0, 60), st.integers(0, 23))
"""Which object, how much in thousandths, and how many days and hours ago it was measured."""


class Lives(RuleBasedStateMachine):
    """A small fleet at play; every command is given to the engine and, when it is taken, told to the reference."""

    place: Workshop

    @initialize(places=st.lists(st.sampled_from(PLACES), min_size=2, max_size=2), months=st.sampled_from((2, 12)))
    def begin(self, places: list[tuple[str, str]], months: int) -> None:
        """Two objects are in service from the first day on, one of them renews."""
        self.database = self.place.empty()
        self.world = World(self.database, TEXT, seller=SELLER.replace("decimals: 0", "decimals: 3"))
        self.door = Rules.of(Settings.model_construct())
        self.today = FIRST
        self.lives: dict[str, Life] = {}
        self.sent: list[Message] = []
        for number, place in enumerate(places):
            self.activate(place, 0, months, renews=number == 0)

    # --- what may happen ---

    @rule(
        days=st.integers(15, 40),
        commands=st.lists(COMMANDS, min_size=1, max_size=6),
        records=st.lists(RECORDS, max_size=6),
        closed=st.booleans(),
    )
    def month(
        self,
        days: int,
        commands: list[tuple[str, int, int, tuple[str, str], int]],
        records: list[tuple[int, int, int, int]],
        *,
        closed: bool,
    ) -> None:
        """Some weeks with commands and usage in turns; a rule for each alone would rarely let them meet."""
        for number in range(max(len(commands), len(records))):
            if number < len(commands):
                self.command(*commands[number])
            if number < len(records):
                self.use(*records[number])
            self.passes(days // 6)
        if closed:
            self.close_what_has_ended()

    @rule()
    def close_what_has_ended(self) -> None:
        self.closes(self.today.replace(day=1) - DAY)

    @precondition(lambda self: self.sent)
    @rule(which=st.integers(0, 999))
    def repeat(self, which: int) -> None:
        """A message that was delivered once more changes nothing."""
        self.sends(self.sent[which % len(self.sent)])

    # --- how it is done ---

    def command(self, kind: str, which: int, back: int, place: tuple[str, str], months: int) -> None:
        contract, plan = place
        match kind:
            case "activate":
                if sum(life.running for life in self.lives.values()) < MOST_RUNNING:
                    self.activate(place, back, months, renews=bool(which % 2))
            case "suspend":
                self.changes(which, kind, back, lambda life, on: life.suspend(on))
            case "resume":
                self.changes(which, kind, back, lambda life, on: life.resume(on))
            case "terminate":
                self.changes(which, kind, back, lambda life, on: life.terminate(on))
            case "change_plan":
                self.changes(which, kind, back, lambda life, on: life.move(on, life.place[0], plan), subscription=plan)
            case "transfer":
                self.changes(
                    which, kind, back, lambda life, on: life.move(on, contract, life.place[1]), contract=contract
                )

    def use(self, which: int, quantity: int, back: int, hour: int) -> None:
        """A record that was measured up to two months ago; its day is that of Paris."""
        reference = sorted(self.lives)[which % len(self.lives)]
        at = datetime(self.today.year, self.today.month, self.today.day, 10, 30, tzinfo=UTC)
        at -= timedelta(days=back, hours=hour)
        value = Fraction(quantity, 1000)
        key = f"m{len(self.sent)}"
        body = f'{{"id": "{key}", "ts": "{at.isoformat()}", "metrics": {{"usage": {Decimal(quantity) / 1000}}}}}'
        message = Message(topic=f"devices/{reference}/telemetry", payload=body.encode(), received_at=noon(self.today))
        self.sends(message)
        self.sent.append(message)
        self.lives[reference].used[key] = (local_day(at), value)

    def activate(self, place: tuple[str, str], back: int, months: int, *, renews: bool) -> None:
        reference = f"IOT_{len(self.lives) + 1}"
        starts_on = max(self.today - back * DAY, FIRST)
        created = self.does(
            "create",
            reference,
            activate=True,
            contract=place[0],
            subscription=place[1],
            starts_on=starts_on,
            term_months=months,
            renewal="automatic" if renews else "none",
        )
        assert created
        self.lives[reference] = Life(starts_on=starts_on, months=months, renews=renews, place=place)
        self.passes(0)

    def does(self, command: str, reference: str, **values: Any) -> bool:
        """Whether the engine took the command; one that it refuses has changed nothing, and the end shows it."""
        try:
            self.world.do(command, self.today, reference, **values)
        except BillingError:
            return False
        return True

    def changes(self, which: int, command: str, back: int, told: Any, **values: Any) -> None:
        running = sorted(reference for reference, life in self.lives.items() if life.running)
        if running:
            reference = running[which % len(running)]
            on = self.today - back * DAY
            if self.does(command, reference, on=on, **values):
                told(self.lives[reference], on)

    def sends(self, message: Message) -> None:
        applied = ingest_batch(self.database, [message], self.door, now=noon(self.today))
        assert not applied.refused

    def passes(self, days: int) -> None:
        self.today += days * DAY
        with self.database.transaction() as session:
            while end_terms(session, noon(self.today)):
                pass
        for life in self.lives.values():
            life.pass_to(self.today)

    def closes(self, until: date) -> None:
        now = noon(self.today)
        rehearsed = close(self.database, until, now, dry_run=True)
        done = close(self.database, until, now)
        assert (done.failures, rehearsed.failures) == ((), ())
        assert [(it.number, it.lines, it.gross_minor) for it in rehearsed.invoices] == [
            (it.number, it.lines, it.gross_minor) for it in done.invoices
        ]
        assert close(self.database, until, now).invoices == ()

    def teardown(self) -> None:
        """Everything ends and is closed; what was charged in all is what the reference says."""
        try:
            for reference, life in self.lives.items():
                if life.running and self.does("terminate", reference, on=self.today):
                    life.terminate(self.today)
            self.passes((LAST - self.today).days + 1 if self.today <= LAST else 1)
            self.closes(min(self.today, LAST))
            with self.database.snapshot() as session:
                assert charged(session) == self.owed()
                assert differences(verify(session)) == []
        finally:
            self.database.dispose()

    def owed(self) -> dict[tuple[str, str], Fraction]:
        amounts = {
            (reference, contract): amount
            for reference, life in self.lives.items()
            for contract, amount in life.owed().items()
        }
        return {key: amount for key, amount in amounts.items() if amount}


def local_day(at: datetime) -> date:
    """The day in Paris, by the rule of European summers: no zone of the engine's."""
    year = at.year
    summer = [last_sunday(year, month).replace(hour=1) for month in (3, 10)]
    return (at + timedelta(hours=2 if summer[0] <= at < summer[1] else 1)).date()


def last_sunday(year: int, month: int) -> datetime:
    last = datetime(year, month, 31, tzinfo=UTC)
    return last - timedelta(days=(last.weekday() + 1) % 7)


def charged(session: Any) -> dict[tuple[str, str], Fraction]:
    """All that was invoiced less all that was credited, exact, by object and contract."""
    amounts: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for summary in invoices.list_invoices(session):
        sign = -1 if summary.kind == "credit_note" else 1
        for row in detail.detail_rows(session, summary.number):
            amounts[row.reference, summary.contract] += sign * row.amount
    return {key: amount for key, amount in amounts.items() if amount}


def test_what_is_charged_in_all_is_what_the_reference_says() -> None:
    with workshop() as place:
        Lives.place = place
        run_state_machine_as_test(
            Lives,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                deadline=None,
                derandomize=not WANTED,
                database=None,
                phases=(Phase.generate, Phase.shrink) if WANTED else (Phase.generate,),
                suppress_health_check=list(HealthCheck),
            ),
        )


@pytest.mark.parametrize("day,expected", [("2022-03-27T00:59:59", "2022-03-27"), ("2022-07-01T22:30:00", "2022-07-02")])
def test_the_reference_knows_the_days_of_paris(day: str, expected: str) -> None:
    assert local_day(datetime.fromisoformat(day).replace(tzinfo=UTC)) == date.fromisoformat(expected)
