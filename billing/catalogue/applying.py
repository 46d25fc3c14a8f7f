"""Making the stored catalogue what a file declares: as a difference, and never rewriting what exists."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, cast

from sqlmodel import Session

from billing.catalogue import applying_sources as sources
from billing.catalogue.applying_coupons import apply_coupons
from billing.catalogue.change import Change
from billing.catalogue.installed import wrong_calculators
from billing.catalogue.models import ContractModel, CustomerModel, MetricModel, PlanModel, SellerModel
from billing.catalogue.problems import CatalogueInvalid, Problem
from billing.catalogue.reading import CatalogueFile, line_of
from billing.core.charges import Charge, Usage, charge_from, definition_of
from billing.core.errors import Invalid
from billing.core.usage import MetricKind, check_aggregation
from storage import catalogue as stored
from storage.tables import Contract, Customer, Metric, Plan, PlanVersion, Seller, Subscription


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
            self._plan(plan, self.file.charges[n], f"plans[{n}]")
        self.contracts = stored.contracts(self.session, [contract.name for contract in content.contracts])
        for n, contract in enumerate(content.contracts):
            self._contract(contract, f"contracts[{n}]")
        if self.file.sources:
            source_changes, problems = sources.apply(
                self.session, self.file.sources, self.metrics, self.file.source_rules, self.now
            )
            self.changes += source_changes
            for place, message in problems:
                self._problem(place, message)
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
        values: dict[str, Any] = {"currency": seller.currency, "timezone": seller.timezone, "party": seller.party()}
        if seller.accounting is not None:
            values["accounting"] = seller.accounting.model_dump(exclude_none=True)
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
        self.metrics[metric.name] = self._save("metric", metric.name, found, Metric, metric.row())

    def _customer(self, customer: CustomerModel) -> None:
        values = {
            "reference": customer.reference,
            "currency": customer.currency,
            "timezone": customer.timezone,
            "party": customer.party(),
        }
        found = self.customers.get(customer.reference)
        self.customers[customer.reference] = self._save("customer", customer.reference, found, Customer, values)

    def _plan(self, plan: PlanModel, charges: Sequence[Charge], place: str) -> None:
        before = len(self.problems)
        for n, charge in enumerate(charges):
            inner = f"{place}.charges[{n}]"
            if isinstance(charge, Usage):
                self._measurable(charge, f"{inner}.calculator")
            for message in wrong_calculators(charge):
                self._problem(inner, message)
        if len(self.problems) > before:
            return
        definitions = [definition_of(charge) for charge in charges]
        row = self.plans.get(plan.name)
        last = None if row is None else stored.latest_version(self.session, stored.key(row.id))
        if last is not None and [charge_from(it) for it in last.definition["charges"]] == list(charges):
            self.versions[plan.name] = last
            told = row is not None and self._tells(row, plan)
            kind: Literal["created", "changed", "unchanged"] = "changed" if told else "unchanged"
            detail = "device commands" if told else ""
            self.changes.append(Change(kind=kind, noun="plan", name=plan.name, detail=detail))
            return
        if row is None:
            row = self.plans[plan.name] = Plan(name=plan.name)
            stored.add(self.session, row)
        version = stored.add_version(
            self.session,
            plan_id=stored.key(row.id),
            charges=definitions,
            metric_ids={name: stored.key(metric.id) for name, metric in self.metrics.items()},
            now=self.now,
        )
        self.versions[plan.name] = version
        self._tells(row, plan)
        kind = "created" if last is None else "changed"
        self.changes.append(Change(kind=kind, noun="plan", name=plan.name, detail=f"version {version.version}"))

    def _tells(self, row: Plan, plan: PlanModel) -> bool:
        """Write what its objects are told by themselves; whether that changed."""
        said = plan.commands()
        if row.commands == said:
            return False
        row.commands = said
        stored.add(self.session, row)
        return True

    def _measurable(self, charge: Usage, place: str) -> None:
        metric = self.metrics.get(charge.calculator.metric)
        if metric is None:
            name = charge.calculator.metric
            self._problem(f"{place}.metric", f"metric {name!r} is declared nowhere; add it under metrics")
            return
        try:
            check_aggregation(charge.calculator.aggregation, cast("MetricKind", metric.kind))
        except Invalid as error:
            self._problem(f"{place}.aggregation", error.message)
            return
        if metric.kind == "cumulative" and charge.calculator.reads_records():
            self._problem(
                place,
                f"metric {metric.name} is a register, whose readings are not consumption one by one; measure a delta "
                "metric, or leave out filter, by, recurring, what is free or limited per event, and what a rule "
                "reads of single records",
            )

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
            "approval": contract.approval,
            "dating": contract.dating,
            "minimum_invoice": contract.minimum_invoice,
            "invoicing": contract.invoicing,
            "incomplete": contract.incomplete,
            "renewal": contract.renewal,
            "notice_days": contract.notice_days,
        }
        before = len(self.changes)
        row = self._save("contract", contract.name, found, Contract, values)
        if self.changes[before].kind == "changed":
            stored.raise_revisions(self.session, [stored.key(row.id)])
        self._subscriptions(contract, place, stored.key(row.id))
        coupon_changes, problems = apply_coupons(self.session, contract, row)
        self.changes += coupon_changes
        for inner, message in problems:
            self._problem(f"{place}.{inner}", message)

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
