"""The calculators that are installed beside Metergate: their entry points, read once for each import path.

The law: a package that cannot be imported, or is no calculator, keeps nothing else from working; what needs it says
that it is not installed, and the log says why.
"""

import logging
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

from billing.core.extension import UsageCalculator

logger = logging.getLogger(__name__)

GROUP = "metergate.calculators"
"""An entry point names a calculator: an instance, a class without arguments, or a list of either."""


def installed() -> Mapping[tuple[str, str], UsageCalculator]:
    """Every calculator by name and version. What is installed later is seen by the next process."""
    return _installed(tuple(sys.path))


@cache
def _installed(path: tuple[str, ...]) -> Mapping[tuple[str, str], UsageCalculator]:  # noqa: ARG001 - the cache's key
    found: dict[tuple[str, str], UsageCalculator] = {}
    for entry in entry_points(group=GROUP):
        for calculator in _loaded(entry):
            key = (calculator.name, calculator.version)
            if found.setdefault(key, calculator) is not calculator:
                logger.error("calculator %s %s is registered twice; the first one is used", *key)
    return MappingProxyType(found)


def _loaded(entry: EntryPoint) -> list[UsageCalculator]:
    try:
        given = entry.load()
        calculators = [_made(it) for it in (given if isinstance(given, list | tuple) else [given])]
    except Exception:
        logger.exception("the calculator of entry point %s = %s cannot be loaded", entry.name, entry.value)
        return []
    for calculator in calculators:
        for problem in problems_of(calculator):
            logger.error("entry point %s = %s is no calculator: %s", entry.name, entry.value, problem)
    return [calculator for calculator in calculators if not list(problems_of(calculator))]


def _made(given: Any) -> Any:
    return given() if isinstance(given, type) else given


def problems_of(calculator: Any) -> Iterable[str]:
    """What keeps an object from being a calculator, as sentences."""
    for name in ("name", "version"):
        value = getattr(calculator, name, None)
        if not isinstance(value, str) or not value or not value.isprintable() or value != value.strip():
            yield f"its {name} is {value!r}; it should be a text"
    if not isinstance(getattr(calculator, "reads_records", None), bool):
        yield "its reads_records should be True or False"
    for name in ("check", "price"):
        if not callable(getattr(calculator, name, None)):
            yield f"it has no method {name}"
