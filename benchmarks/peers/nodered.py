"""Node-RED with its SQLite node, live."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from benchmarks.figures import Figure
from benchmarks.peers.environments import node_environment
from benchmarks.peers.storing import beside_ours
from tests.brokers import Broker

PACKAGES = ("node-red@4", "node-red-node-sqlite@1.1.1")
SETTINGS = """module.exports = {
  uiHost: '127.0.0.1', uiPort: 0, httpAdminRoot: false, httpNodeRoot: false, credentialSecret: false,
  flowFile: 'flows.json', logging: {console: {level: 'warn'}}, telemetry: {enabled: false},
};
"""
TABLE = "CREATE TABLE IF NOT EXISTS messages (topic TEXT, payload TEXT)"
INSERT = "INSERT INTO messages (topic, payload) VALUES ($topic, $payload)"
BIND = "msg.params = {$topic: msg.topic, $payload: msg.payload}; return msg;"


def flow(port: int, database: Path) -> list[dict[str, object]]:
    """MQTT in, a function that binds the parameters, SQLite; and the table once at the start."""

    def node(identity: str, kind: str, *wires: str, **settings: object) -> dict[str, object]:
        return {"id": identity, "type": kind, "z": "tab", "x": 1, "y": 1, "wires": [list(wires)], **settings}

    return [
        {"id": "tab", "type": "tab", "label": "ingest"},
        {
            "id": "broker",
            "type": "mqtt-broker",
            "broker": "127.0.0.1",
            "port": str(port),
            "clientid": "nodered",
            "protocolVersion": "4",
            "cleansession": False,
            "keepalive": "60",
            "autoConnect": True,
        },
        {"id": "db", "type": "sqlitedb", "db": str(database), "mode": "RWC"},
        node("once", "inject", "make", once=True, onceDelay=0.1, props=[]),
        node("make", "sqlite", mydb="db", sqlquery="fixed", sql=TABLE),
        node("in", "mqtt in", "bind", topic="devices/+/telemetry", qos="1", datatype="utf8", broker="broker", inputs=0),
        node("bind", "function", "store", func=BIND, outputs=1),
        node("store", "sqlite", mydb="db", sqlquery="prepared", sql=INSERT),
    ]


def run(scale: str, rounds: int) -> Iterator[Figure]:
    """Rows a second."""
    environment = node_environment("nodered", *PACKAGES, native=("sqlite3",))

    def start(folder: Path, running: Broker, database: Path, log: IO[str]) -> "subprocess.Popen[bytes]":
        (folder / "settings.js").write_text(SETTINGS)
        (folder / "flows.json").write_text(json.dumps(flow(running.port, database)))
        secret = {"broker": {"user": "gateway", "password": "gateway"}}
        (folder / "flows_cred.json").write_text(json.dumps(secret))
        (folder / "node_modules").symlink_to(environment / "node_modules")
        (folder / "package.json").write_text(json.dumps({"dependencies": {"node-red-node-sqlite": "*"}}))
        program = environment / "node_modules" / "node-red" / "red.js"
        words = ["node", str(program), "--userDir", str(folder), "--settings", str(folder / "settings.js")]
        return subprocess.Popen(words, cwd=folder, stdout=log, stderr=log)

    yield from beside_ours("Node-RED 4 with its SQLite node", start, scale=scale, rounds=rounds)
