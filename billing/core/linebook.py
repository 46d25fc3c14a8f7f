"""The lines of an invoice while their entries come: columns for each line, so that a fleet needs little memory.

The law: a line is rounded once, half away from zero; its shares are allocated from it by largest remainder, ties by
reference, then schedule; whatever the order of the entries.
"""

from array import array
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from itertools import groupby, islice
from operator import eq, lt
from typing import Generic, NamedTuple, TypeVar, overload

from billing.core.columns import ExactColumn
from billing.core.exemptions import Exemption
from billing.core.money import exact_sum, round_half_away, spread_scaled
from billing.core.prices import Component


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """What the components of one charge over one nominal period have in common; `vat_rate` in percent.

    `group` is what the contract's grouping adds. A fleet's schedules share a few of them.
    """

    subscription: str
    charge: str
    charge_position: int
    unit: str
    unit_code: str
    vat_category: str
    vat_rate: Fraction
    nominal_starts_on: date
    nominal_ends_on: date
    adjustment: bool = False
    group: tuple[tuple[str, str], ...] = ()
    exemption: Exemption | None = None


class Entries(NamedTuple):
    """The same component of many schedules on one line, as columns: none is worth nothing, no schedule is there twice.

    Quantities and amounts are integers over one denominator.
    """

    heading: Heading
    name: str
    position: int
    unit_price: Fraction
    schedules: Sequence[int]
    references: Sequence[str]
    quantities: Sequence[int]
    quantity_scale: int
    amounts: Sequence[int]
    amount_scale: int


class Entry(NamedTuple):
    """One component that one schedule puts on the invoice."""

    schedule_id: int
    reference: str
    component: Component
    heading: Heading


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One schedule's part of a line: exact, and its part of the rounded amount in minor units."""

    schedule_id: int
    reference: str
    quantity: Fraction
    amount: Fraction
    share_minor: int


class Shares(Sequence[Share]):
    """The shares of a line in order of reference, then schedule; held as columns, made when they are looked at."""

    __slots__ = ("_amounts", "_minor", "_quantities", "_references", "_schedules")

    def __init__(
        self,
        schedules: Sequence[int],
        references: Sequence[str],
        quantities: ExactColumn,
        amounts: ExactColumn,
        minor: Sequence[int],
    ) -> None:
        self._schedules, self._references = schedules, references
        self._quantities, self._amounts, self._minor = quantities, amounts, minor

    def rows(self) -> Iterator[tuple[int, str, str, int]]:
        """Schedule, quantity and amount (exact text), and the part of the rounded amount, of each."""
        return zip(self._schedules, self._quantities.texts(), self._amounts.texts(), self._minor, strict=True)

    def references(self) -> set[str]:
        """The objects that have a share; the empty reference is that of a pool."""
        return set(self._references)

    def turned(self) -> "Shares":
        """The same stated the other way round."""
        minor = [-part for part in self._minor]
        return Shares(self._schedules, self._references, self._quantities.negated(), self._amounts.negated(), minor)

    def __len__(self) -> int:
        return len(self._schedules)

    @overload
    def __getitem__(self, place: int) -> Share: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Share]: ...
    def __getitem__(self, place: int | slice) -> Share | Sequence[Share]:
        if isinstance(place, slice):
            return [self[index] for index in range(*place.indices(len(self)))]
        return Share(
            schedule_id=self._schedules[place],
            reference=self._references[place],
            quantity=self._quantities[place],
            amount=self._amounts[place],
            share_minor=self._minor[place],
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shares) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash(tuple(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Everything that has one price for one reason over one nominal period; `amount` exact, `net_minor` rounded."""

    subscription: str
    charge: str
    charge_position: int
    component: str
    component_position: int
    unit_price: Fraction
    unit: str
    unit_code: str
    vat_category: str
    vat_rate: Fraction
    nominal_starts_on: date
    nominal_ends_on: date
    adjustment: bool
    group: tuple[tuple[str, str], ...]
    exemption: Exemption | None
    quantity: Fraction
    amount: Fraction
    net_minor: int
    shares: Shares


class LineBook:
    """The lines of an invoice while their entries come, in any order: columns for each, and nothing of an entry."""

    def __init__(self) -> None:
        self._headings: _Numbered[Heading] = _Numbered()
        self._prices: _Numbered[Fraction] = _Numbered()
        self._lines: dict[tuple[int, str, int], _OpenLine] = {}

    def add(self, entry: Entry) -> None:
        """Put a component on its line; one that is worth nothing has none."""
        component = entry.component
        if not (component.quantity or component.amount):
            return
        self._line(entry.heading, component.name, component.unit_price, component.position).add(entry)

    def extend(self, entries: Entries) -> None:
        """Put the same component of many schedules on its line."""
        self._line(entries.heading, entries.name, entries.unit_price, entries.position).extend(entries)

    def _line(self, heading: Heading, name: str, unit_price: Fraction, position: int) -> "_OpenLine":
        key = (self._headings.of(heading), name, self._prices.of(unit_price))
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = _OpenLine(heading, name, unit_price, position)
        return line

    def schedules(self) -> set[int]:
        """The schedules that have an entry, by id."""
        return {schedule_id for line in self._lines.values() for schedule_id in line.schedules}

    def lines(self, scale: int) -> list[Line]:
        """The lines, each rounded once to `1 / scale` of the currency."""
        return [line.closed(scale) for line in self._lines.values()]


T = TypeVar("T", bound=Hashable)
REMEMBERED = 1000
"""Things that are known by identity; more are asked for their value, which costs a little."""


class _Numbered(Generic[T]):
    """Equal things have one number. Most come as the very same one, so they are known by identity before by value."""

    def __init__(self) -> None:
        self._by_identity: dict[int, tuple[T, int]] = {}
        self._by_value: dict[T, int] = {}

    def of(self, thing: T) -> int:
        found = self._by_identity.get(id(thing))
        if found is not None:
            return found[1]
        number = self._by_value.setdefault(thing, len(self._by_value))
        if len(self._by_identity) < REMEMBERED:
            # Kept with its number: as long as it is here, nothing else has its identity.
            self._by_identity[id(thing)] = (thing, number)
        return number


class _OpenLine:
    """One line while its entries come; several entries of a schedule that follow each other are one share."""

    __slots__ = ("amounts", "heading", "name", "position", "quantities", "references", "schedules", "unit_price")

    def __init__(self, heading: Heading, name: str, unit_price: Fraction, position: int) -> None:
        self.heading, self.name, self.unit_price, self.position = heading, name, unit_price, position
        self.schedules = array("q")
        self.references: list[str] = []
        self.quantities, self.amounts = ExactColumn(), ExactColumn()

    def add(self, entry: Entry) -> None:
        component = entry.component
        self.position = min(self.position, component.position)
        if self.schedules and self.schedules[-1] == entry.schedule_id:
            self.quantities.add_to_last(component.quantity)
            self.amounts.add_to_last(component.amount)
            return
        self.schedules.append(entry.schedule_id)
        self.references.append(entry.reference)
        self.quantities.append(component.quantity)
        self.amounts.append(component.amount)

    def extend(self, entries: Entries) -> None:
        self.position = min(self.position, entries.position)
        self.schedules.extend(entries.schedules)
        self.references.extend(entries.references)
        self.quantities.extend(entries.quantities, entries.quantity_scale)
        self.amounts.extend(entries.amounts, entries.amount_scale)

    def closed(self, scale: int) -> Line:
        """The line, rounded once, with its shares."""
        self._sort()
        amount = self.amounts.total()
        net_minor = round_half_away(amount * scale)
        weights, common = self.amounts.scaled()
        # Ties are broken in the order of the shares: reference, then schedule.
        parts = spread_scaled(net_minor, [scale * weight for weight in weights], common)
        heading = self.heading
        return Line(
            subscription=heading.subscription,
            charge=heading.charge,
            charge_position=heading.charge_position,
            component=self.name,
            component_position=self.position,
            unit_price=self.unit_price,
            unit=heading.unit,
            unit_code=heading.unit_code,
            vat_category=heading.vat_category,
            vat_rate=heading.vat_rate,
            nominal_starts_on=heading.nominal_starts_on,
            nominal_ends_on=heading.nominal_ends_on,
            adjustment=heading.adjustment,
            group=heading.group,
            exemption=heading.exemption,
            quantity=self.quantities.total(),
            amount=amount,
            net_minor=net_minor,
            shares=Shares(self.schedules, self.references, self.quantities, self.amounts, parts),
        )

    def _sort(self) -> None:
        """Into the order of reference, then schedule; a schedule that comes again joins its share."""
        keys = list(zip(self.references, self.schedules, strict=True))
        if all(map(lt, keys, islice(keys, 1, None))):
            return
        order = sorted(range(len(keys)), key=keys.__getitem__)
        quantities, amounts = self.quantities.taken(order), self.amounts.taken(order)
        ordered = [keys[place] for place in order]
        if any(map(eq, ordered, islice(ordered, 1, None))):
            quantities, amounts = ExactColumn(), ExactColumn()
            for _, alike in groupby(order, key=keys.__getitem__):
                places = list(alike)
                quantities.append(exact_sum(self.quantities[place] for place in places))
                amounts.append(exact_sum(self.amounts[place] for place in places))
            ordered = [key for key, _ in groupby(ordered)]
        self.quantities, self.amounts = quantities, amounts
        self.references = [reference for reference, _ in ordered]
        self.schedules = array("q", (schedule_id for _, schedule_id in ordered))
