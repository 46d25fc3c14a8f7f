"""The plain package names are ours alone, and the tests are not shipped."""

import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_nothing_else_installs_our_package_names() -> None:
    owners = packages_distributions()
    for name in ("gateway", "console", "billing", "storage", "config"):
        assert set(owners.get(name, ["metergate"])) == {"metergate"}, f"another distribution installs {name!r}"


def test_the_wheel_holds_the_four_packages_and_no_tests() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert packages == ["gateway", "console", "billing", "storage", "config"]


def test_the_lock_names_no_address_and_hashes_everything() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    entries = [line for line in lock.splitlines() if "==" in line and not line.startswith((" ", "#"))]
    assert entries
    assert lock.count("--hash=") >= len(entries)


def test_every_setting_is_in_the_reference() -> None:
    from config.settings import Settings  # noqa: PLC0415 - beside its only use

    reference = (ROOT / "docs" / "reference.md").read_text()
    missing = [name for name in Settings.model_fields if f"`METERGATE_{name.upper()}`" not in reference]
    assert not missing


def test_every_command_is_in_the_reference() -> None:
    from gateway.cli.main import COMMANDS  # noqa: PLC0415 - beside its only use

    reference = (ROOT / "docs" / "reference.md").read_text()
    assert not [name for name in COMMANDS if f"`{name}`" not in reference]
