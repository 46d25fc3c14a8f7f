"""The catalogue file: what is sold, to whom and at which price; read whole, checked whole, applied as a difference.

The law: amounts are strings or integers, every error is told at once with its place, applying twice changes
nothing, and a plan version that exists is never changed.
"""

from billing.catalogue.applying import apply
from billing.catalogue.change import Change
from billing.catalogue.models import Day, Text
from billing.catalogue.problems import CatalogueInvalid, Problem
from billing.catalogue.reading import CatalogueFile, load, load_charge
from billing.catalogue.sources import DeclaredSource, MetricUse, SourceRules

__all__ = [
    "CatalogueFile",
    "CatalogueInvalid",
    "Change",
    "Day",
    "DeclaredSource",
    "MetricUse",
    "Problem",
    "SourceRules",
    "Text",
    "apply",
    "load",
    "load_charge",
]
