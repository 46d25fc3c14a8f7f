"""A peer that fails is a row of the table, never left out."""

import json
from pathlib import Path

from benchmarks import figures, report
from benchmarks.peers import environments, nodered, not_measured
from tests.brokers import ROOT


def test_a_peer_that_fails_is_a_row_that_says_why(tmp_path: Path) -> None:
    row = not_measured("Tryton", RuntimeError("a long story\nno matching distribution | found\n"))
    figures.save("peers", "python -m benchmarks peers", [row], tmp_path)
    table = report.tables(tmp_path)
    assert "| Tryton |  | could not be measured |" in table
    assert "no matching distribution / found" in table


def test_peers_live_in_the_cache_outside_of_the_tree() -> None:
    folder = environments._folder("tryton", ("trytond~=7.0.0",))
    assert "metergate-bench" in folder.parts
    assert ROOT not in folder.parents


def test_the_flow_of_node_red_has_no_loose_end() -> None:
    flow = json.loads(json.dumps(nodered.flow(1883, Path("peer.db"))))
    known = {node["id"] for node in flow}
    assert {target for node in flow for wires in node.get("wires", []) for target in wires} <= known
