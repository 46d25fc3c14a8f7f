"""The coverage-guided target runs for a moment in every run of the tests, and finds a fault that is planted."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import brokers


def fuzz(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, "-m", "tests.fuzz.target", *arguments, f"-artifact_prefix={folder}/", "-seed=1"]
    return subprocess.run(words, cwd=brokers.ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_no_bytes_on_any_topic_raise(tmp_path: Path) -> None:
    found = fuzz(tmp_path, "-runs=20000", "-max_total_time=10", "-max_len=400")
    assert found.returncode == 0, found.stderr[-4000:]
    assert "stat::number_of_executed_units" in found.stderr or "Done" in found.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(120)
def test_a_fault_that_is_planted_is_found(tmp_path: Path) -> None:
    seed = tmp_path / "corpus"
    seed.mkdir()
    (seed / "one").write_bytes(b"\x05{}")
    found = fuzz(tmp_path, "--planted", str(seed), "-runs=1")
    assert found.returncode != 0
    assert "the planted fault" in found.stderr + found.stdout
