"""What a register counted: usage, rollovers, exchanges, and the readings that are held for review.

The law: usage is never negative and an unexplained drop is never billed; over any readings in any order of arrival,
what is counted is the last reading less the first, plus the register's full turns and its exchanges, to the last digit.
Quantities are scaled integers, instants are microseconds.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

HOUR = 3_600_000_000
STAYS_LOW_READINGS = 3
"""So many readings in a row below the one before: a register is not expected to come back, an exchange is proposed."""
STAYS_LOW_MICROS = HOUR
"""They span at least this long: a meter that sends every ten seconds may send zeros for a minute while it starts."""
TOP_PART = 10
"""A register rolls over from its last tenth into its first tenth, no further."""


class Reading(NamedTuple):
    """One value of a register."""

    at: int
    quantity: int


class Day(NamedTuple):
    """All readings of a UTC day as its rollup has them."""

    day: int
    readings: int
    first_at: int
    first: int
    low: int
    top: int
    last_at: int
    last: int
    smooth: bool = True
    """No reading of it is above the one before by more than the maximum rate allows."""


Piece = Day | Reading


class Epoch(NamedTuple):
    """From an instant on, another register: what the old one ended at and the new one began at.

    None is the last reading before, and the first one since.
    """

    starts_at: int
    final: int | None
    initial: int | None


class Rules(NamedTuple):
    """What is known of a register: the value at which it begins again at 0, and how much it may rise in an hour."""

    modulus: int | None = None
    maximum_rate: int | None = None


NO_RULES = Rules()
Kind = Literal["drop", "rate"]
CaseState = Literal["held", "proposed", "released"]


@dataclass(slots=True, kw_only=True)
class Case:
    """Readings of one register that are held: from the first that does not fit, until one that does."""

    kind: Kind
    """`drop`: below the reading before. `rate`: above it by more than the maximum rate allows."""
    before: Reading
    """The last reading that counts."""
    first: Reading
    last: Reading
    readings: int = 1
    state: CaseState = "held"
    """`proposed`: it stayed low, so it looks like an exchange. `released`: a glitch that is over, worth 0."""
    released_at: int | None = None

    @property
    def open(self) -> bool:
        return self.state != "released"


class Rollover(NamedTuple):
    """A full turn of the register."""

    before: Reading
    now: Reading


class State(NamedTuple):
    """Where a walk may begin: the reading reached, and what is added to a reading to have what was counted."""

    level: Reading
    offset: int
    told: bool = False
    """The reading is that of an exchange: how fast the register rose from it is not known."""


class Probe(NamedTuple):
    """What a register had counted at an instant, from readings before it, and the first one that counts since."""

    before: Reading | None
    """Its quantity is what was counted, through rollovers and exchanges."""
    after: Reading | None
    held: bool
    """Readings before the instant are held."""
    offset: int = 0
    """What is added to a reading at the instant to have what was counted."""


@dataclass(slots=True, kw_only=True)
class Walked:
    """What a walk over readings found; with days in `expand` it needs their single readings first."""

    expand: set[int] = field(default_factory=set)
    probes: dict[int, Probe] = field(default_factory=dict)
    cases: list[Case] = field(default_factory=list)
    rollovers: list[Rollover] = field(default_factory=list)
    end: State | None = None


class _Expand(Exception):
    def __init__(self, day: int) -> None:
        self.day = day


def too_fast(before: Reading, now: Reading, maximum_rate: int | None) -> bool:
    """Whether a register rose by more than its maximum rate (a scaled quantity an hour) allows."""
    if maximum_rate is None:
        return False
    return (now.quantity - before.quantity) * HOUR > maximum_rate * (now.at - before.at)


def walk(
    pieces: Iterable[Piece],
    *,
    probes: Collection[int] = (),
    epochs: Sequence[Epoch] = (),
    accepted: Collection[int] = (),
    rules: Rules = NO_RULES,
    start: State | None = None,
) -> Walked:
    """Walk over a register's readings and tell what it had counted at each probe.

    `pieces` are days or single readings, in any order, no reading in two of them. `accepted` has the instants of
    readings that a person accepted: they count whatever they are. A reading at a probe is after it, an exchange at a
    probe is before it.
    """
    ordered = sorted(pieces, key=_begins)
    walker = _Walker(
        rules=rules,
        accepted=accepted,
        marks=sorted([(it.starts_at, it) for it in epochs], key=lambda it: it[0]),
        wanted=sorted(set(probes)),
        state=start,
    )
    found = Walked()
    for piece in ordered:
        try:
            walker.take(piece)
        except _Expand as more:
            # What follows may hang on it: only days that surely need it are named with it.
            found.expand.add(more.day)
            return found
    walker.finish()
    found.probes, found.cases, found.rollovers, found.end = walker.probes, walker.cases, walker.rollovers, walker.state
    return found


def _begins(piece: Piece) -> tuple[int, int]:
    return (piece.at, piece.quantity) if isinstance(piece, Reading) else (piece.first_at, piece.first)


@dataclass(slots=True, kw_only=True)
class _Walker:
    rules: Rules
    accepted: Collection[int]
    marks: list[tuple[int, Epoch]]
    wanted: list[int]
    state: State | None
    case: Case | None = None
    fresh: Epoch | None = None
    """An exchange whose register began at a reading that has not come yet."""
    turned: Rollover | None = None
    """The last full turn, until the register left its first tenth."""
    begun: int | None = None
    """What was counted when nothing had been read, but an exchange had been told."""
    probes: dict[int, Probe] = field(default_factory=dict)
    waiting: list[int] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    rollovers: list[Rollover] = field(default_factory=list)

    def take(self, piece: Piece) -> None:
        match piece:
            case Reading():
                self._reach(piece.at)
                self._read(piece)
            case Day():
                self._day(piece)

    def finish(self) -> None:
        last = max([self.wanted[-1] if self.wanted else 0, self.marks[-1][0] if self.marks else 0])
        self._reach(last)
        for at in self.waiting:
            self.probes[at] = self.probes[at]._replace(after=None)

    # --- time -------------------------------------------------------------------------------------------

    def _reach(self, at: int) -> None:
        """All exchanges and probes up to an instant, in their order; an exchange at a probe is before it."""
        while True:
            mark = self.marks[0][0] if self.marks else None
            probe = self.wanted[0] if self.wanted else None
            if mark is not None and mark <= at and (probe is None or mark <= probe):
                self._exchange(self.marks.pop(0)[1])
            elif probe is not None and probe <= at:
                self.wanted.pop(0)
                self.waiting.append(probe)
                offset = 0 if self.state is None else self.state.offset
                self.probes[probe] = Probe(self._counted(), None, self.case is not None, offset)
            else:
                return

    def _counted(self) -> Reading | None:
        if self.state is None:
            return None
        level, offset, _ = self.state
        return Reading(level.at, level.quantity + offset)

    def _exchange(self, epoch: Epoch) -> None:
        """The old register goes up to its last reading, the new one goes on from there."""
        before = self.state
        if epoch.final is None and (self.fresh is not None or (before is not None and before.told)):
            return  # an exchange that was told is the same, and says more
        final = epoch.final if epoch.final is not None else None if before is None else before.level.quantity
        self._release_case(epoch.starts_at)
        self.turned, self.fresh = None, None
        if final is None:
            return
        counted = final + (0 if before is None else before.offset)
        if epoch.initial is None:
            self.fresh = epoch
            self.state = State(Reading(epoch.starts_at, counted), 0)
        else:
            self.state = State(Reading(epoch.starts_at, epoch.initial), counted - epoch.initial, told=True)
        if before is None or epoch.final is not None:  # the last reading of the old register is one
            self._tell(Reading(epoch.starts_at, counted))

    # --- readings ---------------------------------------------------------------------------------------

    def _day(self, day: Day) -> None:
        first, last = Reading(day.first_at, day.first), Reading(day.last_at, day.last)
        # An instant that is asked for, or an exchange, between its readings.
        inside = [at for at in (*self.wanted, *(it[0] for it in self.marks)) if day.first_at < at <= day.last_at]
        if inside and day.readings > 1:
            raise _Expand(day.day)
        self._reach(day.first_at)
        if day.readings == 1:
            self._read(first)
            return
        if any(first.at <= at <= last.at for at in self.accepted):
            raise _Expand(day.day)
        if self.case is not None:
            if not self._stays(day):
                raise _Expand(day.day)
            self.case.readings += day.readings
            self.case.last = last
            self._propose()
            return
        turns_back = self.turned is not None and day.top >= self.turned.before.quantity
        if day.low < day.first or day.top > day.last or not day.smooth or turns_back:
            raise _Expand(day.day)
        if self.state is not None and self.fresh is None and not self._fits(first):
            raise _Expand(day.day)
        self._read(first)
        self._accept(last)

    def _stays(self, day: Day) -> bool:
        """Whether no reading of a day can end the case that is open."""
        assert self.case is not None  # noqa: S101 - asked for a case
        if self.case.kind == "rate":
            return day.low >= self.case.first.quantity
        return self.case.state == "proposed" or day.top < self.case.before.quantity

    def _fits(self, now: Reading) -> bool:
        assert self.state is not None  # noqa: S101 - asked for a register that has been read
        level = self.state.level
        slow = self.state.told or not too_fast(level, now, self.rules.maximum_rate)
        return now.quantity >= level.quantity and slow

    def _read(self, now: Reading) -> None:
        if self.state is None:
            self._accept(now)
        elif self.fresh is not None:
            self._begin(now)
        elif now.at in self.accepted:
            self._take_in(now)
        elif self.case is not None:
            self._read_held(now)
        elif self._turned_wrongly(now):
            self._turn_back(now)
        elif self._fits(now):
            self._accept(now)
        elif self._turns(now):
            self._turn(now)
        else:
            self._hold(now)

    def _accept(self, now: Reading) -> None:
        offset = 0 if self.state is None else self.state.offset
        self.state = State(now, offset)
        modulus = self.rules.modulus
        if self.turned is not None and modulus is not None and now.quantity * TOP_PART > modulus:
            self.turned = None
        self._tell(Reading(now.at, now.quantity + offset))

    def _tell(self, counted: Reading) -> None:
        for at in self.waiting:
            self.probes[at] = self.probes[at]._replace(after=counted)
        self.waiting.clear()

    def _begin(self, now: Reading) -> None:
        """The first reading of a new register that did not say where it began."""
        assert self.state is not None  # noqa: S101 - an exchange made it
        counted = self.state.level.quantity + self.state.offset
        self.fresh = None
        self.state = State(now, counted - now.quantity)
        self._tell(Reading(now.at, counted))

    def _take_in(self, now: Reading) -> None:
        """A reading that a person accepted: a rise is counted, from a lower one it is counted on."""
        assert self.state is not None  # noqa: S101 - asked for a register that has been read
        level, offset, _ = self.state
        if now.quantity < level.quantity:
            self.state = State(level, offset + level.quantity - now.quantity)
        self._release_case(now.at)
        self.turned = None
        self._accept(now)

    # --- readings that are held -------------------------------------------------------------------------

    def _hold(self, now: Reading) -> None:
        assert self.state is not None  # noqa: S101 - asked for a register that has been read
        level = self.state.level
        self.case = Case(kind="drop" if now.quantity < level.quantity else "rate", before=level, first=now, last=now)
        self.cases.append(self.case)

    def _read_held(self, now: Reading) -> None:
        """One more reading after one that is held: it ends the case, or is held too."""
        case = self.case
        assert case is not None  # noqa: S101 - asked for a case
        below = case.kind == "drop" or now.quantity < case.first.quantity
        if case.state != "proposed" and below and self._fits(now):
            self._release_case(now.at)
            self._accept(now)
            return
        case.readings += 1
        case.last = now
        self._propose()

    def _propose(self) -> None:
        case = self.case
        assert case is not None  # noqa: S101 - asked for a case
        long = case.readings >= STAYS_LOW_READINGS and case.last.at - case.first.at >= STAYS_LOW_MICROS
        if case.kind == "drop" and long:
            case.state = "proposed"

    def _release_case(self, at: int) -> None:
        if self.case is not None:
            self.case.state, self.case.released_at = "released", at
            self.case = None

    # --- full turns -------------------------------------------------------------------------------------

    def _turns(self, now: Reading) -> bool:
        """Whether a drop is a full turn: from the last tenth of the register into its first, and not too fast."""
        modulus, state = self.rules.modulus, self.state
        if modulus is None or state is None or not 0 <= now.quantity < state.level.quantity <= modulus:
            return False
        near = (modulus - state.level.quantity) * TOP_PART <= modulus and now.quantity * TOP_PART <= modulus
        whole = now._replace(quantity=now.quantity + modulus)
        return near and not too_fast(state.level, whole, self.rules.maximum_rate)

    def _turn(self, now: Reading) -> None:
        assert self.state is not None  # noqa: S101 - asked for a register that has been read
        assert self.rules.modulus is not None  # noqa: S101 - asked for a register of a known width
        self.turned = Rollover(self.state.level, now)
        self.rollovers.append(self.turned)
        self.state = State(self.state.level, self.state.offset + self.rules.modulus)
        self._accept(now)

    def _turned_wrongly(self, now: Reading) -> bool:
        """Whether the register goes on where it was before what looked like a full turn: zeros near the top."""
        turned = self.turned
        return turned is not None and self.state is not None and now.quantity >= turned.before.quantity

    def _turn_back(self, now: Reading) -> None:
        turned = self.turned
        assert turned is not None  # noqa: S101 - asked for a turn
        assert self.state is not None  # noqa: S101 - asked for a register that has been read
        assert self.rules.modulus is not None  # noqa: S101 - asked for a register of a known width
        self.rollovers.remove(turned)
        case = Case(kind="drop", before=turned.before, first=turned.now, last=self.state.level, state="released")
        case.released_at = now.at
        self.cases.append(case)
        self.state = State(turned.before, self.state.offset - self.rules.modulus)
        self.turned = None
        self._read(now)
