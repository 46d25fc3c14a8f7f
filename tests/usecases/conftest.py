"""A session on a migrated database (each test runs on both), and the catalogue of the documentation."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlmodel import Session

from billing import catalogue
from storage.database import Database

NOW = datetime(2022, 4, 1, 8, 0, tzinfo=UTC)
CATALOGUE = """
seller: {name: Metergate Demo SAS, country: FR, vat_number: FRXX999999999, currency: EUR, timezone: Europe/Paris}
metrics:
  - {name: usage, unit: unit, kind: delta, decimals: 6}
customers:
  - {reference: FLEET, name: Fleet Customer, country: FR, currency: EUR, timezone: Europe/Paris}
plans:
  - name: Premium Fleet Subscription
    charges:
      - name: Usage
        type: usage
        every: month
        timing: arrears
        vat_rate: "20"
        calculator:
          metric: usage
          aggregation: sum
          price: {model: per_unit, unit_price: "2.50", included: "0"}
  - name: Fee and Usage
    charges:
      - {name: Fee, type: recurring, every: month, timing: advance, amount: 5, vat_rate: 20}
      - name: Usage
        type: usage
        vat_rate: "20"
        calculator: {metric: usage, price: {model: flat, amount: "1"}}
contracts:
  - name: IOT Fleet Contract
    customer: FLEET
    starts_on: 2022-01-01
    grouping: [subscription, charge]
    subscriptions: [Premium Fleet Subscription, Fee and Usage]
"""


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.transaction() as session:
        catalogue.apply(session, catalogue.load(CATALOGUE, "catalogue.yaml"), NOW)
        yield session
