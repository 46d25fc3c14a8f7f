"""Runs inside Tryton's own environment: one subscription with a line per object, billed month by month.

Started by `tryton.py` as `python tryton_script.py CONFIG DATABASE OBJECTS`. When it is ready it prints `{}`, and then
for each line that it reads it bills the next month and prints the seconds of consumption, invoice and posting.
"""

import json
import sys
import time
from datetime import date, timedelta
from decimal import Decimal

from dateutil.relativedelta import relativedelta
from proteus import Model, Wizard
from proteus import config as proteus_config
from trytond.modules.account.tests.tools import create_chart, create_fiscalyear, get_accounts
from trytond.modules.account_invoice.tests.tools import set_fiscalyear_invoice_sequences
from trytond.modules.company.tests.tools import create_company, get_company

START = date(2022, 1, 1)


def prepare(objects: int) -> None:
    """Company, accounts, one customer, and a running subscription."""
    create_company()
    company = get_company()
    fiscal_year = set_fiscalyear_invoice_sequences(create_fiscalyear(company, (START, date(2022, 12, 31))))
    fiscal_year.click("create_period")
    create_chart(company)
    revenue = get_accounts(company)["revenue"]
    customer = Model.get("party.party")(name="Fleet")
    customer.save()
    monthly = Model.get("sale.subscription.recurrence.rule.set")(name="Monthly")
    (rule,) = monthly.rules
    rule.freq, rule.interval = "monthly", 1
    monthly.save()
    category = Model.get("product.category")(name="Services", accounting=True, account_revenue=revenue)
    category.save()
    (unit,) = Model.get("product.uom").find([("name", "=", "Unit")])
    template = Model.get("product.template")()
    template.name, template.default_uom, template.type = "Connectivity", unit, "service"
    template.list_price, template.account_category = Decimal("2.50"), category
    template.save()
    (product,) = template.products
    service = Model.get("sale.subscription.service")(product=product, consumption_recurrence=monthly)
    service.save()
    subscription = Model.get("sale.subscription")()
    subscription.party = customer
    subscription.start_date = START
    subscription.invoice_start_date = START + relativedelta(months=1)
    subscription.invoice_recurrence = monthly
    for number in range(1, objects + 1):
        line = subscription.lines.new()
        line.service = service
        line.quantity = 12
        line.description = f"IOT_{number:07d}"
    subscription.save()
    subscription.click("quote")
    subscription.click("run")


def bill(month: int) -> dict[str, float]:
    """Consumption, invoice and posting of one month."""
    day = START + relativedelta(months=month)
    times = [time.perf_counter()]
    create = Wizard("sale.subscription.line.consumption.create")
    create.form.date = day - timedelta(days=1)
    create.execute("create_")
    times.append(time.perf_counter())
    invoices = Wizard("sale.subscription.create_invoice")
    invoices.form.date = day
    invoices.execute("create_")
    times.append(time.perf_counter())
    (invoice,) = Model.get("account.invoice").find([("state", "=", "draft")])
    invoice.click("post")
    times.append(time.perf_counter())
    return {
        "consumption": times[1] - times[0],
        "invoice": times[2] - times[1],
        "posting": times[3] - times[2],
        "lines": len(invoice.lines),
    }


def main(config: str, database: str, objects: str) -> None:
    """Prepare, then bill a month for each line of standard input."""
    proteus_config.set_trytond(database=database, config_file=config)
    prepare(int(objects))
    print("{}", flush=True)
    for month, _ in enumerate(sys.stdin, start=1):
        print(json.dumps(bill(month)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
