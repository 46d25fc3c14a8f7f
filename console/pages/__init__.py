"""The pages, in the order of the menu."""

from console.asking import Page
from console.pages import closing, contracts, fleet, importing, invoices, lines, objects, overview, quarantine, wizard

ALL: tuple[Page, ...] = (
    *overview.PAGES,
    *fleet.PAGES,
    *importing.PAGES,
    *objects.PAGES,
    *wizard.PAGES,
    *invoices.PAGES,
    *lines.PAGES,
    *quarantine.PAGES,
    *contracts.PAGES,
    *closing.PAGES,
)
