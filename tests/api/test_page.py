"""docs/api.md, done as it says: every command of it in order, against a real server."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests import brokers
from tests.processes.conftest import running

PAGE = (brokers.ROOT / "docs" / "api.md").read_text(encoding="utf-8")
PREPARED, *ASKED = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
STARTED = "metergate run --role web &\n"


def done(script: str, folder: Path, env: dict[str, str]) -> str:
    ran = subprocess.run(
        ["timeout", "60", "bash", "-ec", script], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_page_leads_from_a_token_to_an_invoice(tmp_path: Path) -> None:
    shutil.copy(brokers.ROOT / "docs" / "fleet.yaml", tmp_path)
    env = {key: value for key, value in os.environ.items() if not key.startswith("METERGATE_")} | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "METERGATE_DATABASE_URL": f"sqlite:///{tmp_path / 'api.db'}",
        "METERGATE_HTTP_LISTEN": "127.0.0.1:0",
    }
    assert STARTED in PREPARED
    done(PREPARED.replace(STARTED, ""), tmp_path, env)
    clock = re.findall(r"METERGATE_CLOCK=(\S+)", PREPARED)[0]
    with running(["--role", "web"], env | {"METERGATE_CLOCK": clock}, tmp_path) as gateway:
        gateway.wait_for("serves http://127.0.0.1:")
        (address,) = re.findall(r"serves http://(\S+)", "\n".join(gateway.lines))
        said = done("".join(ASKED).replace("127.0.0.1:8600", address), tmp_path, env)
        assert gateway.stop() == 0
    assert '"status":"active"' in said
    assert '"number":"INV/2022/04/0001"' in said
    assert '"total":"36.00"' in said
    assert '"object": "IOT_NS542"' in said
    assert (tmp_path / "invoice.pdf").read_bytes().startswith(b"%PDF-")
