"""The demo on a terminal ends by serving the console on its data, until Ctrl-C; without one it says the command."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

DEADLINE_SECONDS = 120
METERGATE = Path(sys.executable).with_name("metergate")


def test_on_a_terminal_the_demo_ends_by_serving_the_console_until_it_is_interrupted(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"METERGATE_HTTP_LISTEN": "127.0.0.1:0", "NO_COLOR": "1", "COLUMNS": "200"}
    process = subprocess.Popen(
        [METERGATE, "demo", "--output", tmp_path / "demo"], stdin=theirs, stdout=theirs,
        stderr=subprocess.DEVNULL, env=environment, cwd=tmp_path,
    )  # fmt: skip
    os.close(theirs)
    try:
        said = _until(ours, "Ctrl-C ends it.")
        url, token = re.search(r"console on this data: (\S+)", said), re.search(r"with the token (\S+)", said)
        assert url is not None
        assert token is not None
        with httpx.Client(base_url=url[1], trust_env=False) as client:
            form = client.get("/sign-in").text.split('name="secret" value="')[1].split('"')[0]
            client.post("/sign-in", data={"action": "sign_in", "secret": form, "token": token[1]})
            assert "INV/2022/04/0001" in client.get("/invoices").text
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _until(terminal: int, words: str) -> str:
    """What is written to the terminal until some words."""
    said, ends = "", time.monotonic() + DEADLINE_SECONDS
    while words not in said:
        ready, _, _ = select.select([terminal], [], [], max(0, ends - time.monotonic()))
        assert ready, f"not said in {DEADLINE_SECONDS} s: {words!r}; said so far:\n{said}"
        said += os.read(terminal, 65536).decode(errors="replace")
    return said
