"""Workers are told once to stop, and killed when they do not."""

import sys
import time

from gateway.supervisor import Workers
from tests.brokers import eventually

SLOW = """
import signal, time
told = []
signal.signal(signal.SIGTERM, lambda *_: told.append(1))
print("up", flush=True)
while not told:
    time.sleep(0.01)
time.sleep(0.5)
print(f"told {len(told)} times", flush=True)
"""
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(600)
"""


def test_one_that_needs_a_while_to_stop_is_not_told_again() -> None:
    said: list[str] = []
    with Workers({"slow": [sys.executable, "-c", SLOW]}, lambda _, line: said.append(line), stop_seconds=30) as workers:
        eventually(lambda: said == ["up"], "it is up")
        workers.tell()
        time.sleep(0.1)
    assert said == ["up", "told 1 times"]


def test_one_that_does_not_stop_is_killed() -> None:
    said: list[str] = []
    with Workers(
        {"deaf": [sys.executable, "-c", DEAF]}, lambda _, line: said.append(line), stop_seconds=0.2
    ) as workers:
        eventually(lambda: said == ["up"], "it is up")
    assert workers.failed == ["deaf"]
