"""Sparkplug's primary host: retained while the gateway is connected, and gone with it, through a real Mosquitto."""

import json
from pathlib import Path

from config.clock import SystemClock
from config.settings import Settings
from gateway.app import Gateway
from gateway.sources.access import lines
from storage import sources
from storage.database import Database
from tests import brokers
from tests.brokers import eventually
from tests.conftest import missing
from tests.downlink.test_over_sources import declare

STATE = "spBv1.0/STATE/billing"


def test_edge_nodes_see_whether_their_primary_host_is_there(sqlite_database: Database, tmp_path: Path) -> None:
    if brokers.binaries() is None:
        missing("Mosquitto", brokers.FIX)
    declare(sqlite_database, "sources: [{name: plant, preset: sparkplug, primary_host: billing}]")
    with sqlite_database.snapshot() as session:
        definitions = {row.name: row.definition for row in sources.in_force(session)}
    told = [
        f"user {it.user}\n{it.text}" for it in lines(definitions, gateway="gateway", principals=["edge"], own=False)
    ]
    assert f"user gateway\ntopic write {STATE}" in told
    assert f"user edge\ntopic read {STATE}" in told
    with brokers.mosquitto(tmp_path, users=("edge",)) as broker:
        acl = broker.folder / "mosquitto.acl"
        acl.write_text(acl.read_text() + "\n" + "\n".join(told) + "\n")
        broker.stop()
        broker.start()
        with brokers.Peer(broker, "edge") as edge:
            edge.subscribe(STATE)
            with Gateway(sqlite_database, SystemClock(), Settings(broker_url=broker.url())):
                eventually(lambda: len(edge.received) == 1, "the host is there")
            eventually(lambda: len(edge.received) == 2, "the host is gone")
        there, gone = (json.loads(body) for _, body in edge.received)
    assert (there["online"], gone["online"]) == (True, False)
    assert there["timestamp"] == gone["timestamp"] > 1_600_000_000_000
