"""The memory of a process, as the kernel counts it."""

import re
from pathlib import Path


def peak_mebibytes(process: int | str = "self") -> float:
    """The most memory that a process has held at once; `ru_maxrss` would begin with its parent's."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    assert found is not None
    return int(found.group(1)) / 1024
