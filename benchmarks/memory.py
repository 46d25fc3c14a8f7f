"""The memory of a process, as the kernel counts it."""

import re
from pathlib import Path


def peak_mebibytes(process: int | str = "self") -> float:
    """The most memory that a process has held at once; `ru_maxrss` would begin with its parent's."""
    return _mebibytes("VmHWM", process)


def resident_mebibytes(process: int | str = "self") -> float:
    """The memory that a process holds now."""
    return _mebibytes("VmRSS", process)


def _mebibytes(name: str, process: int | str) -> float:
    found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    assert found is not None
    return int(found.group(1)) / 1024
