"""What reading a foreign format costs beside the native one, from bytes to committed rows: CPU time a message."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from benchmarks import stage
from benchmarks.figures import Figure, ratio
from billing import catalogue
from config.settings import Settings
from gateway.ingest import ingest_batch
from gateway.message import Message, Rules
from gateway.sources.declaration import source_rules
from gateway.sources.stored import load
from storage.database import Database
from storage.tables import ConnectedObject

CASE = "sources"
NOON = datetime(2022, 4, 14, 12, tzinfo=UTC)
OBJECTS, BATCH = 1000, 2000
MESSAGES = {"full": 40_000, "small": 4_000}
CATALOGUE = """
metrics: [{name: energy, unit: kWh, kind: cumulative, decimals: 3}]
sources:
  - name: meters
    topic: site/{object}
    time: {path: at}
    metrics: [{path: total.wh, metric: energy, factor: "0.001"}]
  - {name: lora, preset: chirpstack}
"""


def run(*, scale: str, rounds: int) -> Iterator[Figure]:
    """The native format, a mapped flat message and a whole ChirpStack uplink, interleaved in each round."""
    spent: dict[str, list[float]] = {"native": [], "site": [], "application": []}
    with stage.store("sqlite") as store:
        database = Database(store.create("sources"))
        database.migrate()
        rules = _seeded(database)
        _spend(database, rules, _messages("native", 0, BATCH))  # what is known is learnt before it is measured
        for turn in range(1, (rounds if scale == "full" else 1) + 1):
            for name, each in spent.items():
                each.append(_spend(database, rules, _messages(name, turn * MESSAGES["full"], MESSAGES[scale])))
        database.dispose()
    for name, said in (("site", "a mapped message of 60 bytes"), ("application", "a ChirpStack uplink of 580 bytes")):
        yield ratio(
            CASE, said, spent[name], spent["native"], against="the native format of 75 bytes",
            unit="microseconds of CPU a message", must=2, reach=1.5, at_most=True,
        )  # fmt: skip


def _seeded(database: Database) -> Rules:
    file = catalogue.load(CATALOGUE, "sources.yaml", sources=source_rules(Settings()))
    with database.transaction() as session:
        catalogue.apply(session, file, NOON)
        session.add_all(ConnectedObject(reference=f"D{n}", status="active", created_at=NOON) for n in range(OBJECTS))
    with database.snapshot() as session:
        return Rules.of(Settings(), load(session))


def _messages(name: str, first: int, count: int) -> list[Message]:
    made = []
    for n in range(first, first + count):
        device = f"D{n % OBJECTS}"
        at = (NOON - timedelta(seconds=n)).strftime("%Y-%m-%dT%H:%M:%SZ")
        match name:
            case "native":
                topic, body = f"devices/{device}/telemetry", _native(name, n, at)
            case "site":
                topic, body = f"site/{device}", {"at": at, "total": {"wh": 12500 + n}}
            case _:
                topic, body = f"application/7/device/{device}/event/up", _uplink(device, n, at)
        made.append(Message(topic=topic, payload=json.dumps(body).encode(), received_at=NOON))
    return made


def _native(name: str, n: int, at: str) -> dict[str, object]:
    return {"id": f"{name}-{n}", "ts": at, "metrics": {"energy": 12.5}}


def _uplink(device: str, n: int, at: str) -> dict[str, object]:
    return {
        "deduplicationId": f"b39d5e5e-{n}",
        "time": at,
        "deviceInfo": {"tenantId": "52f14cd4-c6f1-4fbd-8f87-4025e1d49242", "applicationId": "7", "devEui": device},
        "devAddr": "00189440",
        "fCnt": n,
        "fPort": 1,
        "data": "qg==",
        "object": {"energy": 12.5, "battery": 3.6},
        "rxInfo": [{"gatewayId": "0016c001f153a14c", "uplinkId": 4217106255, "rssi": -36, "snr": 10.5}],
        "txInfo": {"frequency": 867100000, "modulation": {"lora": {"bandwidth": 125000, "spreadingFactor": 11}}},
    }


def _spend(database: Database, rules: Rules, messages: list[Message]) -> float:
    began = time.process_time()
    for start in range(0, len(messages), BATCH):
        applied = ingest_batch(database, messages[start : start + BATCH], rules, now=NOON)
        assert not applied.refused, applied
    return (time.process_time() - began) / len(messages) * 1e6
