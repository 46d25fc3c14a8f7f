"""A package with calculators of its own, built and installed for real, into a folder that tests put on the path."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import brokers

OFFLINE = ("--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check")
SAMPLE = Path(__file__).parent / "degree_days"


@pytest.fixture(scope="session")
def installed_sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that pip installed the sample into."""
    target = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", *OFFLINE, "--target", str(target), str(SAMPLE)],
        check=True,
        cwd=brokers.ROOT,
    )
    return target
