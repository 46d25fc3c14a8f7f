"""The commands of a person, on a database of their own: what a worked example goes through."""

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from gateway.cli.main import main

SELLER = {"name": "Seller", "country": "FR", "currency": "EUR", "timezone": "UTC"}
CUSTOMER = {"reference": "SOMEBODY", "name": "Somebody", "country": "FR"}


class Command:
    """`metergate` in a folder, at a virtual time; each call is one command, which must succeed."""

    def __init__(self, folder: Path, clock: str = "2022-05-02T00:00:00Z") -> None:
        self.folder = folder
        self.wanted = {"METERGATE_DATABASE_URL": f"sqlite:///{folder / 'cases.db'}"}
        self.at(clock)
        self.before: dict[str, str | None] = {}

    def __enter__(self) -> Self:
        self.before = {name: os.environ.get(name) for name in (*self.wanted, "METERGATE_CLOCK")}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name, value in self.before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    def at(self, instant: str) -> None:
        """The time of the next commands."""
        self.wanted["METERGATE_CLOCK"] = f"virtual:{instant}"

    def run(self, *words: str) -> str:
        os.environ.update(self.wanted)
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main(words)
        assert not ended.value.code, err.getvalue()
        return out.getvalue()

    def apply(self, catalogue: Mapping[str, Any]) -> None:
        path = self.folder / "catalogue.yaml"
        path.write_text(json.dumps({"seller": SELLER, "customers": [CUSTOMER], **catalogue}))
        self.run("apply", str(path))

    def declare(self, charges: list[dict[str, Any]], *, starts_on: str, timezone: str = "UTC") -> None:
        """One contract on one plan with these charges."""
        metrics = sorted({charge["calculator"]["metric"] for charge in charges if "calculator" in charge})
        self.apply(
            {
                "metrics": [{"name": name, "unit": "unit", "kind": "delta"} for name in metrics],
                "plans": [{"name": "P", "charges": charges}],
                "contracts": [
                    {
                        "name": "C",
                        "customer": "SOMEBODY",
                        "starts_on": starts_on,
                        "timezone": timezone,
                        "subscriptions": ["P"],
                    }
                ],
            }
        )

    def objects(self, rows: Iterable[tuple[str, str, str, str]]) -> None:
        """Objects, each with its contract, subscription and first day, active."""
        columns = ("reference", "contract", "subscription", "starts_on", "activate")
        self.run("objects", "import", self._csv(columns, ((*row, "yes") for row in rows)))

    def use(self, rows: Iterable[tuple[str, str, str, str]]) -> None:
        """Usage: object, metric, value, time."""
        self.run("usage", "import", self._csv(("object", "metric", "value", "at"), rows))

    def close(self, until: str) -> list[dict[str, Any]]:
        """The documents that a close issues."""
        found: list[dict[str, Any]] = json.loads(self.run("close", "--until", until, "--json"))["invoices"]
        return found

    def _csv(self, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
        path = self.folder / "rows.csv"
        with path.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(columns)
            writer.writerows(rows)
        return str(path)

    def price(
        self, charge: Mapping[str, Any], *words: str, events: list[dict[str, Any]] | None = None
    ) -> dict[str, Any]:
        """What `metergate price` says."""
        path = self.folder / "charge.yaml"
        path.write_text(json.dumps(charge))
        if events is not None:
            (self.folder / "events.json").write_text(json.dumps(events))
            words = (*words, "--events", str(self.folder / "events.json"))
        found: dict[str, Any] = json.loads(self.run("price", "--charge", str(path), "--json", *words))
        return found
