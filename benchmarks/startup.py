"""How soon the command answers and the gateway listens: `python -m benchmarks startup`."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import stage
from benchmarks.figures import Figure, measure
from benchmarks.stage import broker, gateway, listening

CASE = "startup"


def run(*, scale: str, rounds: int) -> Iterator[Figure]:
    """Wall seconds of each."""
    command = str(Path(sys.executable).parent / "metergate")
    rounds = rounds if scale == "full" else 1
    everything = "import gateway.app, gateway.cli.objects, gateway.cli.invoices, billing.close"
    _seconds(sys.executable, "-c", everything)  # whatever is not compiled yet is compiled by it
    yield measure(
        CASE, "metergate --help", [_seconds(command, "--help") for _ in range(rounds)], unit="s", must=0.4, reach=0.2
    )
    yield measure(
        CASE, "import of all that a gateway needs", [_seconds(sys.executable, "-c", everything) for _ in range(rounds)],
        unit="s",
    )  # fmt: skip
    starts = []
    with stage.store("sqlite") as store:
        stage.make_fleet(store.create("empty"), 10)
        for _ in range(rounds):
            with broker() as running:
                began = time.monotonic()
                with gateway(store.url("empty"), running) as process:
                    listening(process)
                    starts.append(time.monotonic() - began)
    yield measure(CASE, "metergate run, until it listens", starts, unit="s")


def _seconds(*words: str) -> float:
    began = time.monotonic()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env=stage.as_installed())
    return time.monotonic() - began
