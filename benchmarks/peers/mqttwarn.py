"""mqttwarn with its SQLite service, live."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from benchmarks.figures import Figure
from benchmarks.peers.environments import python_environment
from benchmarks.peers.storing import beside_ours
from tests.brokers import Broker

VERSION = "0.36.1"
CONFIGURATION = """
[defaults]
hostname = '127.0.0.1'
port = {port}
username = 'gateway'
password = 'gateway'
clientid = 'mqttwarn'
cleansession = False
protocol = 4
logfile = 'stream://sys.stderr'
loglevel = WARNING
functions = ''
launch = sqlite

[config:sqlite]
targets = {{'store': ['{database}', 'messages']}}

[devices/+/telemetry]
targets = sqlite:store
qos = 1
"""


def run(scale: str, rounds: int) -> Iterator[Figure]:
    """Rows a second."""
    programs = python_environment("mqttwarn", f"mqttwarn=={VERSION}")

    def start(folder: Path, running: Broker, database: Path, log: IO[str]) -> "subprocess.Popen[bytes]":
        (folder / "mqttwarn.ini").write_text(CONFIGURATION.format(port=running.port, database=database))
        return subprocess.Popen([programs / "mqttwarn"], cwd=folder, stdout=log, stderr=log)

    yield from beside_ours(f"mqttwarn {VERSION}", start, scale=scale, rounds=rounds)
