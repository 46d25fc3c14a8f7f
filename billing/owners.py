"""The customer, contract and subscription that names stand for, for many objects at once."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlmodel import Session

from billing.core.errors import Conflict, Invalid, NotFound
from storage import catalogue as declared
from storage import registry
from storage.tables import Contract, Customer, Subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """The customer, contract and subscription that names stand for, as far as they are known."""

    customer: Customer | None
    contract: Contract | None
    subscription: Subscription | None

    def ids(self) -> dict[str, int | None]:
        """The three columns of an object."""
        return {
            "customer_id": self.customer.id if self.customer else None,
            "contract_id": self.contract.id if self.contract else None,
            "subscription_id": self.subscription.id if self.subscription else None,
        }


class Names:
    """Resolves customers, contracts and subscriptions for many objects at once: a few queries, whatever the number."""

    def __init__(
        self,
        session: Session,
        *,
        customers: Collection[str | None] = (),
        contracts: Collection[str | None] = (),
        contract_ids: Collection[int | None] = (),
    ) -> None:
        self.customers = declared.customers(session, {name for name in customers if name})
        self.contracts = declared.contracts(session, {name for name in contracts if name})
        known = {declared.key(contract.id) for contract in self.contracts.values()}
        self.contracts_by_id = declared.contracts_by_id(session, known | {key for key in contract_ids if key})
        self.subscriptions = declared.subscriptions(session, self.contracts_by_id)
        self.subscriptions_by_id = {row.id: row for row in self.subscriptions.values()}
        owners = {contract.customer_id for contract in self.contracts_by_id.values()}
        self.customers_by_id = declared.customers_by_id(session, owners)

    def owners(
        self,
        *,
        customer: str | None,
        contract: str | None,
        subscription: str | None,
        present: registry.ObjectRow | None = None,
    ) -> Owners:
        """What the names stand for, completed by what the object has. A contract says who the customer is.

        Raises NotFound for an unknown name, Invalid for a subscription without a contract, and Conflict when the
        contract is another customer's.
        """
        owner = self.customers.get(customer) if customer else None
        if customer and owner is None:
            raise NotFound(f"customer {customer!r} is not declared; apply it in a catalogue file first")
        agreed = self.contracts.get(contract) if contract else None
        if contract and agreed is None:
            raise NotFound(f"contract {contract!r} is not declared; apply it in a catalogue file first")
        if agreed is None and present is not None and present.contract_id is not None:
            agreed = self.contracts_by_id[present.contract_id]
        if agreed is not None:
            if owner is not None and owner.id != agreed.customer_id:
                raise Conflict(f"contract {agreed.name!r} is not of customer {customer!r}; name its customer or none")
            owner = self.customers_by_id[agreed.customer_id]
        taken = None
        if subscription:
            if agreed is None:
                raise Invalid(f"subscription {subscription!r} is inside a contract; name the contract too")
            taken = self.subscriptions.get((declared.key(agreed.id), subscription))
            if taken is None:
                raise NotFound(f"contract {agreed.name!r} has no subscription {subscription!r}; add it to the contract")
        elif present is not None and present.subscription_id is not None and agreed is not None:
            kept = self.subscriptions_by_id.get(present.subscription_id)
            taken = kept if kept is not None and kept.contract_id == agreed.id else None
        return Owners(customer=owner, contract=agreed, subscription=taken)
