"""The pages, in the order of the menu."""

from console.asking import Page
from console.pages import fleet, invoices, lines, objects, overview

ALL: tuple[Page, ...] = (*overview.PAGES, *fleet.PAGES, *objects.PAGES, *invoices.PAGES, *lines.PAGES)
