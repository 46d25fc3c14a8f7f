"""Other programs, installed by the suite into environments of their own, doing the same work as well as they can.

python -m benchmarks peers [--scale small] [--rounds 5]

A peer that cannot be installed, or does not work, is a row that says so.
"""

from collections.abc import Callable, Iterator

from benchmarks.figures import Figure
from benchmarks.peers import mqttwarn, nodered, tryton

CASE = "peers"
PEERS: dict[str, Callable[[str, int], Iterator[Figure]]] = {
    "mqttwarn": mqttwarn.run,
    "Node-RED": nodered.run,
    "Tryton": tryton.run,
}


def run(*, scale: str, rounds: int) -> Iterator[Figure]:
    """The figures of each peer."""
    for name, measured in PEERS.items():
        try:
            yield from measured(scale, rounds)
        except Exception as error:  # noqa: BLE001 - a peer that fails is a row, and the others go on
            yield not_measured(name, error)


def not_measured(name: str, error: Exception) -> Figure:
    """The row of a peer that failed, with the last line of the reason."""
    reason = ([line for line in str(error).splitlines() if line.strip()] or [type(error).__name__])[-1]
    return Figure(
        case=CASE, name=name, against="", value=0.0, low=0.0, high=0.0, rounds=0, detail=reason.replace("|", "/")[:160]
    )
