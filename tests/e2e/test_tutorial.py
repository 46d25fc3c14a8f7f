"""docs/tutorial.md, run as it is written: every `sh` block in one bash, and every excerpt found in what it prints."""

import csv
import os
import re
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

from tests import brokers
from tests.conftest import missing

TUTORIAL = (brokers.ROOT / "docs" / "tutorial.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TUTORIAL, re.MULTILINE | re.DOTALL)


def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    if brokers.binaries() is None or shutil.which("mosquitto_pub") is None:
        missing("Mosquitto with its clients", "install them with `apt-get install mosquitto mosquitto-clients`")
    folder, work = tmp_path / "broker", tmp_path / "work"
    folder.mkdir()
    work.mkdir()
    script = "set -e\n" + "".join(text for kind, text in BLOCKS if kind == "sh")
    with brokers.mosquitto(folder, users=("IOT_NS542",)) as broker:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("METERGATE_")} | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "REPOSITORY": str(brokers.ROOT),
            "BROKER_PORT": str(broker.port),
            "METERGATE_BROKER_URL": broker.url(),
            "METERGATE_HTTP_LISTEN": "127.0.0.1:0",
            "METERGATE_DATABASE_URL": f"sqlite:///{work / 'tutorial.db'}",
        }
        # `timeout` ends the shell and the gateway, which are one process group.
        ran = subprocess.run(
            ["timeout", "120", "bash", "-c", script],
            cwd=work,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    log = (work / "gateway.log").read_text()
    assert ran.returncode == 0, f"{ran.stdout}\n{log}"
    assert "Traceback" not in ran.stdout + log
    excerpts = [line for kind, text in BLOCKS if kind == "" for line in text.splitlines()]
    assert len(excerpts) >= 4
    assert [line for line in excerpts if line not in ran.stdout.splitlines()] == [], ran.stdout
    assert "INV/2022/04/0001" in ran.stdout
    assert "total 36.00" in ran.stdout
    with (work / "april.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["object"], Decimal(row["net_amount"]), Decimal(row["quantity"])) == (
        "IOT_NS542",
        Decimal(30),
        Decimal(12),
    )
