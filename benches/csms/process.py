"""A server in a process of its own, on its own core, and what it costs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
MODULES = HERE.parents[1] / ".venv" / "node" / "node_modules"


class Missing(RuntimeError):
    """A peer that is not installed."""


class Server:
    """name: one of serve.py's, or "ocpp-rpc". core: where it runs. url: where it listens."""

    def __init__(self, name: str, *, core: int = 0, **environment: str) -> None:
        self.name = name
        command = [sys.executable, str(HERE / "serve.py"), name]
        environment = {**os.environ, **environment}
        if name == "ocpp-rpc":
            node, folder = shutil.which("node"), os.environ.get("NODE_PATH") or str(MODULES)
            if node is None or not Path(folder, "ocpp-rpc").is_dir():
                raise Missing("node, or ocpp-rpc: npm install --prefix .venv/node ocpp-rpc")
            command, environment["NODE_PATH"] = [node, str(HERE / "serve_rpc.js")], folder
        if pin := shutil.which("taskset"):
            command = [pin, "-c", str(core), *command]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline() or 0)
        if not self.port:
            raise RuntimeError(f"{name} did not start")
        self.url = f"ws://127.0.0.1:{self.port}"

    def cpu_ns(self) -> int:
        """CPU time of all its threads."""
        threads = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads)

    def memory(self) -> int:
        """Its resident bytes."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
