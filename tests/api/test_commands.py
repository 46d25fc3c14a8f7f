"""`metergate tokens` and `metergate run --role web`, in processes of their own."""

import os
import re
import socket
import subprocess
from pathlib import Path

import httpx

from gateway.supervisor import metergate
from tests.processes.conftest import answer, running


def environment(folder: Path, listen: str = "127.0.0.1:0") -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("METERGATE_")}
    return kept | {"METERGATE_DATABASE_URL": f"sqlite:///{folder / 'm.db'}", "METERGATE_HTTP_LISTEN": listen}


def test_a_token_is_made_listed_and_revoked_by_the_command(tmp_path: Path) -> None:
    env = environment(tmp_path)
    made = answer(["tokens", "create", "office", "--role", "billing"], env, tmp_path)
    assert made["secret"].startswith("mg_")
    (listed,) = answer(["tokens", "list"], env, tmp_path)
    assert (listed["name"], listed["role"], listed["revoked_at"]) == ("office", "billing", None)
    assert answer(["tokens", "revoke", "office"], env, tmp_path)["changed"]
    assert not answer(["tokens", "revoke", "office"], env, tmp_path)["changed"]


def test_the_web_role_serves_without_a_broker_and_stops_when_told(tmp_path: Path) -> None:
    with running(["--role", "web"], environment(tmp_path), tmp_path) as gateway:
        gateway.wait_for("serves http://127.0.0.1:")
        (url,) = re.findall(r"serves (http://\S+)", "\n".join(gateway.lines))
        assert httpx.get(f"{url}/api/v1/health", trust_env=False).json() == {"status": "ok"}
        assert gateway.stop() == 0


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = subprocess.run(
            metergate("run", "--role", "web"),
            cwd=tmp_path,
            env=environment(tmp_path, f"127.0.0.1:{port}"),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ran.returncode == 1
    assert f"metergate: the address 127.0.0.1:{port} is in use" in ran.stderr
    assert "Traceback" not in ran.stderr
