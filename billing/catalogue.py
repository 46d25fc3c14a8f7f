"""The catalogue file: what is sold, to whom and at which price; read whole, checked whole, applied as a difference.

The law: amounts are strings or integers, every error is told at once with its place, applying twice changes
nothing, and a plan version that exists is never changed.
"""

import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from sqlmodel import Session

from billing.core.errors import BillingError, Invalid
from billing.core.money import minor_digits
from storage import catalogue as stored
from storage.tables import Contract, Customer, Metric, Plan, PlanVersion, Seller, Subscription

FILE_LIMIT_BYTES = 5_000_000
"""A catalogue is written by people; more is another kind of file."""
DEPTH_LIMIT = 20
TIER_LIMIT = 100
UNION_WORDS = {"recurring", "usage", "flat", "per_unit", "graduated"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong in a file: where (`plans[0].charges[1].amount`, line 12) and what to do about it."""

    place: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.place or 'the file'}: {self.message}"


class CatalogueInvalid(Invalid):
    """A catalogue file with at least one error; `errors` holds all of them, in the order of lines."""

    default_code = "catalogue_invalid"

    def __init__(self, errors: Sequence[Problem], *, file: str = "") -> None:
        self.errors = sorted(errors, key=lambda problem: (problem.line, problem.place))
        self.file = file
        lines = "\n".join(f"{file}, {problem}" if file else str(problem) for problem in self.errors)
        super().__init__(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What applying a file does to one declared thing."""

    kind: Literal["created", "changed", "unchanged"]
    noun: str
    name: str
    detail: str = ""


# --- the words of the file -------------------------------------------------------------------------------


def _amount(value: object) -> str:
    """The decimal text of a string or an integer, in one form: "2.50" and "2.5" are one amount."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f'{value!r} is not an exact number; write it as a string, such as "2.50"')  # noqa: TRY004 - pydantic collects it
    if not re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,12})?", str(value)):
        raise ValueError(
            f'{value!r} is not an amount; write up to 15 digits and 12 decimals without a sign, such as "2.50"'
        )
    number = Decimal(value)
    return format(number.normalize() if number else Decimal(0), "f")


def _day(value: object) -> date:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    elif isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise ValueError(f"{value!r} is not a day; write it as YYYY-MM-DD")


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"time zone {value!r} is unknown; write an IANA name such as Europe/Paris") from None
    return value


def _currency(value: str) -> str:
    try:
        minor_digits(value)
    except BillingError as error:
        raise ValueError(error.message) from None
    return value


def _printable(value: str) -> str:
    if not value.isprintable() or value != value.strip():
        raise ValueError(f"{value!r} has control characters or a blank at an end; remove them")
    return value


Text = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_printable)]
Amount = Annotated[str, BeforeValidator(_amount)]
Day = Annotated[date, BeforeValidator(_day)]
Zone = Annotated[str, AfterValidator(_zone)]
Currency = Annotated[str, AfterValidator(_currency)]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Group = Annotated[str, StringConstraints(pattern=r"^(subscription|charge|object|attribute:.{1,100})$")]


class Model(BaseModel):
    """Strict: no unknown key, no silent conversion."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class PartyModel(Model):
    """Who is named on an invoice."""

    name: Text
    country: Country
    vat_number: Text | None = None
    legal_id: Text | None = None
    address: list[Text] = Field(default_factory=list, max_length=6)
    electronic_address: Text | None = None

    def party(self) -> dict[str, Any]:
        """What is frozen onto each invoice."""
        kept = self.model_dump(exclude_none=True, exclude={"currency", "timezone", "reference"})
        return {name: value for name, value in kept.items() if value != []}


class SellerModel(PartyModel):
    currency: Currency
    timezone: Zone
    iban: Text | None = None


class CustomerModel(PartyModel):
    reference: Text
    currency: Currency | None = None
    timezone: Zone | None = None


class MetricModel(Model):
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,100}$")]
    unit: Text
    unit_code: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{2,3}$")] = "C62"
    kind: Literal["delta", "cumulative", "gauge", "state"]
    decimals: int = Field(default=6, ge=0, le=9)
    excess_digits: Literal["round", "refuse"] = "round"


class FlatModel(Model):
    model: Literal["flat"]
    amount: Amount


class PerUnitModel(Model):
    model: Literal["per_unit"]
    unit_price: Amount
    included: Amount = "0"


class TierModel(Model):
    up_to: Amount | None
    unit_price: Amount = "0"
    flat_fee: Amount = "0"


class GraduatedModel(Model):
    model: Literal["graduated"]
    tiers: list[TierModel] = Field(min_length=1, max_length=TIER_LIMIT)
    charge_zero: bool = False

    @model_validator(mode="after")
    def _bounds_rise(self) -> "GraduatedModel":
        bounds = [None if tier.up_to is None else Decimal(tier.up_to) for tier in self.tiers]
        if bounds[-1] is not None or None in bounds[:-1]:
            raise ValueError("the last tier, and only the last, has `up_to: null`")
        finite = [Decimal(0), *(bound for bound in bounds if bound is not None)]
        if any(later <= earlier for earlier, later in pairwise(finite)):
            raise ValueError("each tier's `up_to` is above the one before it, and above 0")
        return self


class CalculatorModel(Model):
    metric: str
    aggregation: Literal["sum", "count", "max", "latest"] = "sum"
    price: Annotated[FlatModel | PerUnitModel | GraduatedModel, Field(discriminator="model")]


class ChargeModel(Model):
    name: Text
    every: Literal["month", "quarter", "semester", "year"] = "month"
    vat_rate: Amount
    vat_category: Literal["S", "Z", "E", "AE", "K", "G", "O", "L", "M"] = "S"

    @model_validator(mode="after")
    def _rate_suits_category(self) -> "ChargeModel":
        if Decimal(self.vat_rate) > 100:  # noqa: PLR2004 - a percentage
            raise ValueError(f'vat_rate is in percent, got {self.vat_rate}; 20 % is "20"')
        if self.vat_category not in {"S", "L", "M"} and Decimal(self.vat_rate) != 0:
            raise ValueError(f"VAT category {self.vat_category} has the rate 0 (EN 16931), got {self.vat_rate}")
        if self.vat_category == "S" and Decimal(self.vat_rate) == 0:
            raise ValueError("VAT category S has a rate above 0; for a rate of 0 write Z, E, AE, K, G or O")
        return self


class RecurringModel(ChargeModel):
    type: Literal["recurring"]
    timing: Literal["advance", "arrears"] = "arrears"
    amount: Amount
    prorate: Literal["day", "none"] = "day"
    while_suspended: Literal["stop", "charge"] = "stop"


class UsageModel(ChargeModel):
    type: Literal["usage"]
    timing: Literal["arrears"] = "arrears"
    calculator: CalculatorModel


class PlanModel(Model):
    name: Text
    charges: list[Annotated[RecurringModel | UsageModel, Field(discriminator="type")]] = Field(
        min_length=1, max_length=100
    )


class ContractModel(Model):
    name: Text
    customer: str
    starts_on: Day
    currency: Currency | None = None
    timezone: Zone | None = None
    grouping: list[Group] = Field(default_factory=lambda: ["subscription", "charge"], max_length=10)
    payment_terms_days: int = Field(default=30, ge=0, le=365)
    subscriptions: list[str] = Field(default_factory=list)


class CatalogueModel(Model):
    """The whole file."""

    seller: SellerModel | None = None
    metrics: list[MetricModel] = []
    customers: list[CustomerModel] = []
    plans: list[PlanModel] = []
    contracts: list[ContractModel] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueFile:
    """A file without an error in itself, and the line of each place in it."""

    content: CatalogueModel
    lines: Mapping[str, int] = field(repr=False)
    file: str


# --- reading ---------------------------------------------------------------------------------------------


class _Reader:
    """YAML to plain values, with the line of every place; what YAML would silently change is a problem."""

    def __init__(self) -> None:
        self.lines: dict[str, int] = {"": 1}
        self.problems: list[Problem] = []

    def problem(self, place: str, message: str) -> None:
        self.problems.append(Problem(place=place, line=line_of(self.lines, place), message=message))

    def value(self, node: yaml.Node, place: str, depth: int = 0) -> Any:
        self.lines[place] = node.start_mark.line + 1
        if depth > DEPTH_LIMIT:
            self.problem(place, f"is nested deeper than {DEPTH_LIMIT} levels; flatten it")
            return None
        match node:
            case yaml.MappingNode():
                return self._mapping(node, place, depth)
            case yaml.SequenceNode():
                return [self.value(item, f"{place}[{n}]", depth + 1) for n, item in enumerate(node.value)]
            case _:
                return self._scalar(node, place)

    def _mapping(self, node: yaml.MappingNode, place: str, depth: int) -> dict[Hashable, Any]:
        values: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            name = str(key_node.value)
            inner = f"{place}.{name}" if place else name
            if name in values:
                self.lines[inner] = key_node.start_mark.line + 1
                self.problem(inner, "this key stands here twice; keep one")
                continue
            values[name] = self.value(value_node, inner, depth + 1)
        return values

    def _scalar(self, node: yaml.Node, place: str) -> Any:
        text = str(node.value)
        match node.tag.rpartition(":")[2]:
            case "float":
                self.problem(place, f'{text} is a YAML float, which is not exact; write it in quotes: "{text}"')
                return text
            case "int":
                if re.fullmatch(r"-?(0|[1-9][0-9]{0,17})", text):
                    return int(text)
                self.problem(place, f'{text} is not a plain integer; write it in quotes: "{text}"')
                return text
            case "null":
                return None
            case "bool" if text.lower() in {"true", "false"}:
                return text.lower() == "true"
            case _:
                return text  # days stay text until a model asks for one; `NO` is a country


def line_of(lines: Mapping[str, int], place: str) -> int:
    """The line of a place, or of the nearest place around it."""
    while place and place not in lines:
        place = re.sub(r"(\.[^.\[\]]*|\[\d+\]|^[^.\[\]]*)$", "", place)
    return lines.get(place, 1)


def load(text: str, place: str = "") -> CatalogueFile:
    """Read and check a catalogue file; `place` is its name in messages. Raises CatalogueInvalid with every error."""
    if len(text.encode("utf-8", "replace")) > FILE_LIMIT_BYTES:
        message = f"the file is larger than {FILE_LIMIT_BYTES} bytes; split it"
        raise CatalogueInvalid([Problem(place="", line=1, message=message)], file=place)
    reader = _Reader()
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                message = f"the alias *{event.anchor} is not followed; write the value out"
                raise CatalogueInvalid([Problem(place="", line=_line(event.start_mark), message=message)], file=place)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line = _line(mark)
        message = f"is not YAML: {getattr(error, 'problem', None) or str(error).splitlines()[0]}"
        raise CatalogueInvalid([Problem(place="", line=line, message=message)], file=place) from None
    raw = {} if node is None else reader.value(node, "")
    content = None
    try:
        content = CatalogueModel.model_validate(raw)
    except ValidationError as error:
        told = {problem.place for problem in reader.problems}
        for detail in error.errors(include_url=False):
            inner = _place(raw, detail["loc"])
            if inner not in told:
                reader.problem(inner, _sentence(detail))
    for inner, name in _repeats(raw):
        reader.problem(inner, f"{name!r} is declared twice; keep one")
    if reader.problems or content is None:
        raise CatalogueInvalid(reader.problems, file=place)
    return CatalogueFile(content=content, lines=reader.lines, file=place)


def _line(mark: Any) -> int:
    return 1 if mark is None else int(mark.line) + 1


def _place(raw: Any, loc: Sequence[int | str]) -> str:
    place, value = "", raw
    for part in loc:
        if isinstance(part, int):
            place += f"[{part}]"
            value = value[part] if isinstance(value, list) and part < len(value) else None
        elif part in UNION_WORDS and not (isinstance(value, dict) and part in value):
            continue  # pydantic names the case of a union, which is not a place in the file
        else:
            place += f".{part}" if place else part
            value = value.get(part) if isinstance(value, dict) else None
    return place


def _sentence(detail: Mapping[str, Any]) -> str:
    match detail["type"]:
        case "extra_forbidden":
            return "this key is not known here; remove it or correct its spelling"
        case "missing":
            return "this key is required; add it"
        case "union_tag_not_found":
            return f"the key {detail['ctx']['discriminator']} is required; add it"
        case "union_tag_invalid":
            return f"{detail['ctx']['tag']!r} is not known here; choose one of {detail['ctx']['expected_tags']}"
        case "value_error":
            return str(detail["ctx"]["error"])
        case _:
            return f"{detail['msg'][0].lower()}{detail['msg'][1:]}, got {str(detail['input'])[:80]!r}"


def _repeats(raw: Any) -> Iterator[tuple[str, str]]:
    """Names that stand twice in one list: one name, one thing."""
    lists: list[tuple[str, Any, str]] = [
        (noun, raw.get(noun), "reference" if noun == "customers" else "name")
        for noun in ("metrics", "customers", "plans", "contracts")
        if isinstance(raw, dict)
    ]
    for noun, inner, key in (("plans", "charges", "name"), ("contracts", "subscriptions", "")):
        outer = raw.get(noun) if isinstance(raw, dict) else None
        for n, entry in enumerate(outer if isinstance(outer, list) else []):
            if isinstance(entry, dict):
                lists.append((f"{noun}[{n}].{inner}", entry.get(inner), key))
    for place, entries, key in lists:
        seen: set[str] = set()
        for n, entry in enumerate(entries if isinstance(entries, list) else []):
            name = entry.get(key) if isinstance(entry, dict) else entry
            if isinstance(name, str):
                if name in seen:
                    yield f"{place}[{n}]" + (f".{key}" if key else ""), name
                seen.add(name)


# --- applying --------------------------------------------------------------------------------------------


def apply(session: Session, file: CatalogueFile, now: datetime) -> list[Change]:
    """Make the stored catalogue what the file declares, and say what that changed; twice changes nothing.

    Nothing is removed: what the file leaves out stays. A plan whose charges differ gets a new version, which new
    subscriptions take; those that exist keep theirs. Raises CatalogueInvalid, before the caller commits, for names
    that are declared nowhere and for changes that would rewrite what was measured or agreed.
    """
    stored.take_turns(session, "catalogue")
    return _Application(session, file, now).run()


class _Application:
    def __init__(self, session: Session, file: CatalogueFile, now: datetime) -> None:
        self.session, self.file, self.now = session, file, now
        self.problems: list[Problem] = []
        self.changes: list[Change] = []

    def run(self) -> list[Change]:
        content = self.file.content
        if content.seller is not None:
            self._seller(content.seller)
        self.metrics = stored.metrics(self.session)
        for n, metric in enumerate(content.metrics):
            self._metric(metric, f"metrics[{n}]")
        names = {customer.reference for customer in content.customers}
        names |= {contract.customer for contract in content.contracts}
        self.customers = stored.customers(self.session, names)
        for customer in content.customers:
            self._customer(customer)
        self.plans = stored.plans(self.session)
        self.versions: dict[str, PlanVersion] = {}
        for n, plan in enumerate(content.plans):
            self._plan(plan, f"plans[{n}]")
        self.contracts = stored.contracts(self.session, [contract.name for contract in content.contracts])
        for n, contract in enumerate(content.contracts):
            self._contract(contract, f"contracts[{n}]")
        if self.problems:
            raise CatalogueInvalid(self.problems, file=self.file.file)
        return self.changes

    def _problem(self, place: str, message: str) -> None:
        self.problems.append(Problem(place=place, line=line_of(self.file.lines, place), message=message))

    def _save(
        self,
        noun: str,
        name: str,
        found: Any,
        new: Callable[..., Any],
        values: Mapping[str, Any],
    ) -> Any:
        """Write the row when it is new or differs, and note which it was."""
        row = new(**values) if found is None else found
        changed = [] if found is None else [key for key, value in values.items() if getattr(row, key) != value]
        if found is None or changed:
            for key in changed:
                setattr(row, key, values[key])
            stored.add(self.session, row)
        kind: Literal["created", "changed", "unchanged"] = (
            "created" if found is None else "changed" if changed else "unchanged"
        )
        self.changes.append(Change(kind=kind, noun=noun, name=name, detail=", ".join(changed)))
        return row

    def _seller(self, seller: SellerModel) -> None:
        values = {"currency": seller.currency, "timezone": seller.timezone, "party": seller.party()}
        self._save("seller", seller.name, stored.seller(self.session), Seller, values)

    def _metric(self, metric: MetricModel, place: str) -> None:
        found = self.metrics.get(metric.name)
        if found is not None and (found.kind, found.decimals) != (metric.kind, metric.decimals):
            for key in ("kind", "decimals"):
                if getattr(found, key) != getattr(metric, key) and stored.metric_has_usage(
                    self.session, stored.key(found.id)
                ):
                    self._problem(
                        f"{place}.{key}",
                        f"metric {metric.name} was measured with {key} {getattr(found, key)}, which cannot change; "
                        "declare another metric",
                    )
        self.metrics[metric.name] = self._save("metric", metric.name, found, Metric, metric.model_dump())

    def _customer(self, customer: CustomerModel) -> None:
        values = {
            "reference": customer.reference,
            "currency": customer.currency,
            "timezone": customer.timezone,
            "party": customer.party(),
        }
        found = self.customers.get(customer.reference)
        self.customers[customer.reference] = self._save("customer", customer.reference, found, Customer, values)

    def _plan(self, plan: PlanModel, place: str) -> None:
        before = len(self.problems)
        for n, charge in enumerate(plan.charges):
            if isinstance(charge, UsageModel) and charge.calculator.metric not in self.metrics:
                self._problem(
                    f"{place}.charges[{n}].calculator.metric",
                    f"metric {charge.calculator.metric!r} is declared nowhere; add it under metrics",
                )
        if len(self.problems) > before:
            return
        charges = [charge.model_dump(mode="json") for charge in plan.charges]
        row = self.plans.get(plan.name)
        last = None if row is None else stored.latest_version(self.session, stored.key(row.id))
        if row is not None and last is not None and last.definition["charges"] == charges:
            self.versions[plan.name] = last
            self.changes.append(Change(kind="unchanged", noun="plan", name=plan.name))
            return
        if row is None:
            row = self.plans[plan.name] = Plan(name=plan.name)
            stored.add(self.session, row)
        version = stored.add_version(
            self.session,
            plan_id=stored.key(row.id),
            charges=charges,
            metric_ids={name: stored.key(metric.id) for name, metric in self.metrics.items()},
            now=self.now,
        )
        self.versions[plan.name] = version
        kind: Literal["created", "changed"] = "created" if last is None else "changed"
        self.changes.append(Change(kind=kind, noun="plan", name=plan.name, detail=f"version {version.version}"))

    def _contract(self, contract: ContractModel, place: str) -> None:
        customer, found = self.customers.get(contract.customer), self.contracts.get(contract.name)
        if customer is None:
            self._problem(
                f"{place}.customer",
                f"customer {contract.customer!r} is declared nowhere; add it under customers",
            )
            return
        seller = stored.seller(self.session)
        inherited: dict[str, str] = {}
        for key in ("currency", "timezone"):
            sources = (contract, found, customer, seller)
            value = next((getattr(row, key) for row in sources if row is not None and getattr(row, key)), None)
            if value is None:
                self._problem(place, f"no {key} is known; give it here, on the customer or on the seller")
                return
            inherited[key] = value
        agreed = {"customer_id": customer.id, "starts_on": contract.starts_on, **inherited}
        moved = found is not None and any(getattr(found, key) != value for key, value in agreed.items())
        if found is not None and moved and stored.contract_has_items(self.session, stored.key(found.id)):
            self._problem(
                place,
                f"contract {contract.name} has objects, so its customer, currency, time zone and start stay; "
                "declare another contract",
            )
            return
        values = {
            "name": contract.name,
            **agreed,
            "grouping": contract.grouping,
            "payment_terms_days": contract.payment_terms_days,
        }
        before = len(self.changes)
        row = self._save("contract", contract.name, found, Contract, values)
        if self.changes[before].kind == "changed":
            stored.raise_revisions(self.session, [stored.key(row.id)])
        self._subscriptions(contract, place, stored.key(row.id))

    def _subscriptions(self, contract: ContractModel, place: str, contract_id: int) -> None:
        present = stored.subscriptions(self.session, [contract_id])
        for n, name in enumerate(contract.subscriptions):
            label = f"{contract.name} / {name}"
            if (contract_id, name) in present:
                self.changes.append(Change(kind="unchanged", noun="subscription", name=label))
                continue
            plan = self.plans.get(name)
            version = self.versions.get(name)
            if plan is not None and version is None:
                version = stored.latest_version(self.session, stored.key(plan.id))
            if version is None and name in {declared.name for declared in self.file.content.plans}:
                continue  # the plan's own problem is told already
            if version is None:
                self._problem(f"{place}.subscriptions[{n}]", f"plan {name!r} is declared nowhere; add it under plans")
                continue
            stored.add(
                self.session,
                Subscription(contract_id=contract_id, plan_version_id=stored.key(version.id), name=name),
            )
            self.changes.append(Change(kind="created", noun="subscription", name=label))
