"""Registers that do not only rise: what they counted, walked over reading by reading where it matters.

The law: a register without exchanges, drops and readings that are held is measured by totals alone; of the others the
days come from the rollup, and single readings only from the days where they decide something.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple, Protocol, cast

from sqlmodel import Session

from billing.core.boundaries import How, Rule
from billing.core.registers import HOUR, Day, Epoch, Piece, Probe, Reading, Rules, State, Walked, walk
from storage import due, exchanges, partitions, walking
from storage.markers import Beginning
from storage.measuring import Span
from storage.tables import Metric
from storage.types import DAY_MICROS
from storage.walking import Rise

SECOND = 1_000_000


class Known(Protocol):
    """What a walk needs to know; a month's reader does."""

    @property
    def session(self) -> Session: ...
    @property
    def metrics(self) -> Mapping[int, Metric]: ...
    @property
    def exchanges(self) -> Mapping[tuple[int, int], list[Beginning]]: ...
    @property
    def accepted(self) -> Mapping[tuple[int, int], set[int]]: ...
    @property
    def rises(self) -> dict[tuple[int, int, int], list[Rise]]: ...


@dataclass(frozen=True, slots=True)
class Registry:
    """The same for who only asks about registers."""

    session: Session
    metrics: Mapping[int, Metric]
    exchanges: Mapping[tuple[int, int], list[Beginning]]
    accepted: Mapping[tuple[int, int], set[int]]
    rises: dict[tuple[int, int, int], list[Rise]] = field(default_factory=dict)


def registry_of(session: Session) -> Registry:
    """What is known of all registers now."""
    return Registry(session, due.metrics(session), exchanges.beginnings(session), walking.accepted(session))


class Readings(NamedTuple):
    """Of one register: the highest value before a period, its first value inside, and the highest inside."""

    before: int | None
    first: int | None
    top: int | None
    held_before: bool = False
    """Readings before the period are held."""
    held: bool = False
    """Readings before its end are held."""
    start: Probe | None = None
    end: Probe | None = None
    """The readings around the ends of the period, where they matter."""


def rules_of(reader: Known, metric_id: int) -> Rules:
    """What the catalogue says of a register, in scaled quantities."""
    metric = reader.metrics[metric_id]
    width, rate = metric.register_width, metric.maximum_rate
    return Rules(
        modulus=None if width is None else 10 ** (width + metric.decimals),
        maximum_rate=None if rate is None else int(rate * 10**metric.decimals),
    )


def boundary_rule(reader: Known, metric_id: int) -> Rule:
    """How a metric wants the values at the ends of periods."""
    metric = reader.metrics[metric_id]
    return Rule(cast("How", metric.boundary), metric.boundary_tolerance_seconds * SECOND)


def walked_over(
    reader: Known,
    span: Span,
    raw: Mapping[int, Readings],
    opened: Mapping[int, int | None],
    *,
    first_day: int | None = None,
) -> set[int]:
    """The objects whose registers did not only rise, or not slowly enough, up to the end of a span.

    `opened` has what is kept of the beginning of the span; with `first_day` days before it are looked at too.
    """
    metric_id = span.metric_id
    found = set()
    if reader.exchanges:
        for object_id in raw:
            epochs = reader.exchanges.get((object_id, metric_id))
            if epochs and epochs[0].starts_at <= span.end:
                found.add(object_id)
    if reader.accepted:
        found |= {it for it in raw if (it, metric_id) in reader.accepted}
    modulus = rules_of(reader, metric_id).modulus
    for object_id, read in raw.items():
        opening = opened.get(object_id)
        late = opening is not None and read.before is not None and read.before > opening
        # After a full turn what was read is below what was counted: a late reading does not show.
        turned = opening is not None and modulus is not None and opening >= modulus
        if late or turned or (read.before is not None and read.first is not None and read.first < read.before):
            found.add(object_id)
    first_day = span.start // DAY_MICROS if first_day is None else first_day
    last_day = span.end // DAY_MICROS
    found |= walking.irregular(reader.session, metric_id, first_day=first_day, last_day=last_day, object_ids=raw)
    rate = rules_of(reader, metric_id).maximum_rate
    if rate is not None:
        found |= _risen(reader, span, raw, rate)
    return found


def _risen(reader: Known, span: Span, raw: Mapping[int, Readings], rate: int) -> set[int]:
    """The objects of which a reading may have risen too fast; a day more is read, for the reading before the first."""
    start = (span.start // DAY_MICROS - 1) * DAY_MICROS
    if partitions.archived_between(reader.session, start, span.end):
        return set(raw)
    found = set()
    place = (span.metric_id, start, span.end)
    if place not in reader.rises:  # for all contracts at once: the records are in order of time, not of objects
        reader.rises[place] = walking.rises(
            reader.session, span.metric_id, start=start, end=span.end, maximum_rate=rate
        )
    for rise in reader.rises[place]:
        if rise.object_id not in raw:
            continue
        before = raw[rise.object_id].before
        # Of the first one it is known that the reading before is older than what was read.
        near = rise.before is None and (before is None or (rise.quantity - before) * HOUR <= rate * (rise.at - start))
        if not near:
            found.add(rise.object_id)
    return found


def read_walked(
    reader: Known, span: Span, object_ids: Collection[int], *, until: int | None = None
) -> dict[int, Readings]:
    """The readings of a span of registers that are walked over, as one counter that goes on.

    Readings after the span are looked at until an instant; unless it is given, for a day.
    """
    found = {}
    walked = walk_registers(reader, span.metric_id, object_ids, (span.start, span.end), until=until)
    for object_id, it in walked.items():
        begun, ended = it.probes[span.start], it.probes[span.end]
        inside = begun.after is not None and begun.after.at < span.end
        found[object_id] = Readings(
            before=None if begun.before is None else begun.before.quantity,
            first=begun.after.quantity if inside and begun.after is not None else None,
            top=None if ended.before is None else ended.before.quantity,
            held_before=begun.held,
            held=ended.held,
            start=begun,
            end=ended,
        )
    return found


def walk_registers(
    reader: Known, metric_id: int, object_ids: Collection[int], probes: Collection[int], *, until: int | None = None
) -> dict[int, Walked]:
    """By object, what its register had counted at each probe, from the readings until an instant.

    Unless it is given, of what came after the last probe a day is looked at.
    """
    if not object_ids:
        return {}
    walking_over = _Walk(reader=reader, metric_id=metric_id, rules=rules_of(reader, metric_id), probes=probes)
    walking_over.begin(object_ids, max(max(probes) + DAY_MICROS, until or 0) // DAY_MICROS)
    return walking_over.go()


@dataclass(slots=True, kw_only=True)
class _Walk:
    """Many registers of one metric: all that a round needs of a day is read at once."""

    reader: Known
    metric_id: int
    rules: Rules
    probes: Collection[int]
    starts: dict[int, State] = field(default_factory=dict)
    epochs: dict[int, list[Epoch]] = field(default_factory=dict)
    pieces: dict[int, dict[int, list[Piece]]] = field(default_factory=dict)

    def begin(self, object_ids: Collection[int], last_day: int) -> None:
        """Read the days, each register's from its last exchange before the first probe."""
        for object_id in object_ids:
            epochs = self.reader.exchanges.get((object_id, self.metric_id), [])
            start = _start(epochs, min(self.probes))
            if start is not None:
                self.starts[object_id] = start
            since = -1 if start is None else start.level.at
            self.epochs[object_id] = [Epoch(*it) for it in epochs if it.starts_at > since]
            self.pieces[object_id] = {}
        whole = len(self.starts) < len(object_ids)
        rows = walking.days_of(
            self.reader.session,
            self.metric_id,
            object_ids,
            first_day=0 if whole else min(it.level.at for it in self.starts.values()) // DAY_MICROS,
            last_day=last_day,
        )
        rough = self._rough(rows)
        probed = {at // DAY_MICROS for at in self.probes}
        mixed: dict[int, set[int]] = defaultdict(set)
        for row in rows:
            since = self._since(row.object_id)
            if row.last_at < since:
                continue
            pieces = self.pieces[row.object_id]
            if row.first_at >= since:
                pieces[row.day] = [Day(*row[1:], smooth=(row.object_id, row.day) not in rough)]
            else:  # the rollup cannot tell the old register's readings from the new one's
                pieces[row.day] = [Reading(row.last_at, row.last)]
                if row.day in probed:
                    mixed[row.day].add(row.object_id)
        for day, inside in mixed.items():
            self._expand(day, inside)

    def go(self) -> dict[int, Walked]:
        found: dict[int, Walked] = {}
        waiting = set(self.pieces)
        while waiting:
            wanted: dict[int, set[int]] = defaultdict(set)
            for object_id in waiting:
                found[object_id] = walk(
                    chain.from_iterable(self.pieces[object_id].values()),
                    probes=self.probes,
                    epochs=self.epochs[object_id],
                    accepted=self.reader.accepted.get((object_id, self.metric_id), ()),
                    rules=self.rules,
                    start=self.starts.get(object_id),
                )
                for day in found[object_id].expand:
                    wanted[day].add(object_id)
            for day, inside in wanted.items():
                self._expand(day, inside)
            waiting = set(chain.from_iterable(wanted.values()))
        return found

    def _since(self, object_id: int) -> int:
        start = self.starts.get(object_id)
        return 0 if start is None else start.level.at

    def _rough(self, rows: Sequence[walking.DayRow]) -> Collection[tuple[int, int]]:
        """Object and day where a reading rose faster than the maximum rate, about."""
        if self.rules.maximum_rate is None or not rows:
            return ()
        risen = walking.rises(
            self.reader.session,
            self.metric_id,
            start=min(row.day for row in rows) * DAY_MICROS,
            end=(max(row.day for row in rows) + 1) * DAY_MICROS,
            maximum_rate=self.rules.maximum_rate,
            object_ids=self.pieces,
        )
        return {(it.object_id, it.at // DAY_MICROS) for it in risen if it.before is not None}

    def _expand(self, day: int, inside: Collection[int]) -> None:
        """The single readings of a day; of one whose records are archived its first and its last."""
        start = day * DAY_MICROS
        if partitions.archived_between(self.reader.session, start, start + DAY_MICROS):
            for object_id in inside:
                pieces = self.pieces[object_id]
                pieces[day] = list(chain.from_iterable(_ends(piece) for piece in pieces[day]))
            return
        for object_id in inside:
            self.pieces[object_id][day] = []
        for object_id, at, quantity in exchanges.of_day(self.reader.session, self.metric_id, day, inside):
            if at >= self._since(object_id):
                self.pieces[object_id][day].append(Reading(at, quantity))


def _ends(piece: Piece) -> Sequence[Reading]:
    if isinstance(piece, Reading):
        return [piece]
    return [Reading(piece.first_at, piece.first), Reading(piece.last_at, piece.last)]


def _start(epochs: Sequence[Beginning], at: int) -> State | None:
    """The last exchange up to an instant whose new register was read: what was before it hangs on nothing."""
    added, start = 0, None
    for epoch in epochs:
        if epoch.starts_at > at or epoch.initial is None or epoch.final is None:
            break
        added += epoch.final - epoch.initial
        start = State(Reading(epoch.starts_at, epoch.initial), added, told=True)
    return start
