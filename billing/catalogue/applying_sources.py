"""Making the stored sources what a file declares: a source whose meaning differs gets a new version.

The law: a source feeds only metrics that are declared, of the kind that it says, and no topic is two sources'.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session

from billing.catalogue.change import Change
from billing.catalogue.sources import DeclaredSource, SourceRules
from storage import sources as stored
from storage.tables import Metric
from storage.types import canonical_json


def apply(
    session: Session,
    declared: Sequence[DeclaredSource],
    metrics: Mapping[str, Metric],
    rules: SourceRules,
    now: datetime,
) -> tuple[list[Change], list[tuple[str, str]]]:
    """Write what differs; what changed, and what is wrong (place in the file, sentence)."""
    standing = {row.name: row for row in stored.in_force(session)}
    changes: list[Change] = []
    problems: list[tuple[str, str]] = []
    for source in declared:
        problems += _unfed(source, metrics)
        found = standing.get(source.name)
        if found is not None and canonical_json(found.definition) == canonical_json(source.definition):
            changes.append(Change(kind="unchanged", noun="source", name=source.name))
            continue
        row = stored.add_version(session, name=source.name, definition=source.definition, now=now)
        detail = f"version {row.version}"
        if found is not None:
            detail += f": {', '.join(_differences(found.definition, source.definition))}"
        standing[source.name] = row
        changes.append(
            Change(kind="created" if found is None else "changed", noun="source", name=source.name, detail=detail)
        )
    problems += _clashes(declared, {name: row.definition for name, row in standing.items()}, rules)
    return changes, problems


def _unfed(source: DeclaredSource, metrics: Mapping[str, Metric]) -> list[tuple[str, str]]:
    problems = []
    optional = [use for use in source.metrics if use.optional]
    if optional and not any(use.metric in metrics for use in source.metrics):
        names = ", ".join(dict.fromkeys(f"{use.metric} ({use.kind})" for use in optional))
        problems.append((optional[0].place, f"none of its metrics is declared; add one of {names} under metrics"))
    for use in source.metrics:
        metric = metrics.get(use.metric)
        if metric is None:
            if not use.optional:
                problems.append((use.place, f"metric {use.metric!r} is declared nowhere; add it under metrics"))
        elif use.kind is not None and metric.kind != use.kind:
            problems.append(
                (use.place, f"metric {use.metric} is {metric.kind}, but what the source reads is {use.kind}")
            )
    return problems


def _clashes(
    declared: Sequence[DeclaredSource], standing: Mapping[str, Mapping[str, Any]], rules: SourceRules
) -> list[tuple[str, str]]:
    problems = []
    enabled = {name: it for name, it in standing.items() if it.get("enabled", True)}
    for source in declared:
        for name, definition in enabled.items():
            if source.name == name or source.name not in enabled:
                continue
            why = rules.clash(source.definition, definition)
            if why is not None:
                sentence = f"{why} as source {name}, and a message is one source's; narrow one, or switch it off"
                problems.append((source.place, sentence))
    return problems


def _differences(before: Mapping[str, Any], after: Mapping[str, Any], place: str = "") -> list[str]:
    """The places at which two definitions differ: what a dry run shows."""
    found: list[str] = []
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        inner = f"{place}.{key}" if place else key
        if old == new:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += _differences(old, new, inner)
        elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
            named_old, named_new = ({f"[{n}]": it for n, it in enumerate(them)} for them in (old, new))
            found += [it.replace(".[", "[") for it in _differences(named_old, named_new, inner)]
        else:
            found.append(inner)
    return found
