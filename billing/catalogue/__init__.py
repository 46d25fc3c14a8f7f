"""The catalogue file: what is sold, to whom and at which price; read whole, checked whole, applied as a difference.

The law: amounts are strings or integers, every error is told at once with its place, applying twice changes
nothing, and a plan version that exists is never changed.
"""

from billing.catalogue.applying import Change, apply
from billing.catalogue.models import Day, Text
from billing.catalogue.problems import CatalogueInvalid, Problem
from billing.catalogue.reading import CatalogueFile, load, load_charge

__all__ = ["CatalogueFile", "CatalogueInvalid", "Change", "Day", "Problem", "Text", "apply", "load", "load_charge"]
