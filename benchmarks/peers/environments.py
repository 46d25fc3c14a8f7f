"""Environments of the peers: made from PyPI or npm the first time, kept in the cache, apart from ours."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

INSTALL_SECONDS = 900


def python_environment(name: str, *requirements: str) -> Path:
    """The `bin` folder of a virtual environment with these requirements."""
    folder = _folder(name, requirements)
    if not (folder / "installed").exists():
        shutil.rmtree(folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(folder)], folder.parent)
        _run([str(folder / "bin" / "pip"), "install", "--quiet", *requirements], folder)
        (folder / "installed").touch()
    return folder / "bin"


def node_environment(name: str, *packages: str, native: tuple[str, ...] = ()) -> Path:
    """The folder with `node_modules`; `native` packages are compiled here, with the headers that Node came with."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        raise RuntimeError("npm is missing; install it with `apt-get install npm`")
    folder = _folder(name, packages)
    if not (folder / "installed").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "package.json").write_text('{"private": true}\n')
        _run([npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", *packages], folder)
        headers = f"--nodedir={Path(node).resolve().parent.parent}"
        for package in native:
            words = [npm, "exec", "--yes", "--", "node-gyp", "rebuild", headers]
            _run(words, folder / "node_modules" / package)
        (folder / "installed").touch()
    return folder


def _folder(name: str, what: tuple[str, ...]) -> Path:
    words = "-".join("".join(sign if sign.isalnum() else "_" for sign in word) for word in what)
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "metergate-bench" / "peers" / f"{name}-{words}"


def _run(words: list[str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    if done.returncode:
        reason = [line for line in done.stderr.splitlines() if line.strip()]
        raise RuntimeError(f"{' '.join(words[:4])} failed: {reason[-1] if reason else done.returncode}")
