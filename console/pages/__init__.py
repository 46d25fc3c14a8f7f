"""The pages, in the order of the menu."""

from console.asking import Page
from console.pages import closing, contracts, fleet, invoices, lines, objects, overview, quarantine, wizard

ALL: tuple[Page, ...] = (
    *overview.PAGES,
    *fleet.PAGES,
    *objects.PAGES,
    *wizard.PAGES,
    *invoices.PAGES,
    *lines.PAGES,
    *quarantine.PAGES,
    *contracts.PAGES,
    *closing.PAGES,
)
