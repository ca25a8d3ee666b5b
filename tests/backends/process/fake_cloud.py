"""A provider of machines that are processes: `serve` is the provider, the other words are its command line.

    python fake_cloud.py FOLDER serve             until it is killed
    python fake_cloud.py FOLDER start NAME        prints the machine's address
    python fake_cloud.py FOLDER run ADDRESS WORD  runs a shell command there, with our input and output
    python fake_cloud.py FOLDER stop NAME

Machines are children of the provider, as real ones are: nothing that ends the runner's descendants ends them. Every
call is appended to FOLDER/calls. What misbehaves: a file FOLDER/fail-STEP makes a step fail, FOLDER/slow-STEP holds how
many seconds it takes.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

MACHINE = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit()); signal.pause()"


def serve(folder: Path) -> None:
    """Answer one JSON object a connection."""
    machines: dict[str, subprocess.Popen[bytes]] = {}
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "socket"))
        server.listen()
        (folder / "ready").touch()
        while True:
            connection, _ = server.accept()
            threading.Thread(target=answer, args=(connection, machines, folder), daemon=True).start()


def answer(connection: socket.socket, machines: dict[str, subprocess.Popen[bytes]], folder: Path) -> None:
    with connection:
        body, fds, _, _ = socket.recv_fds(connection, 65_536, 3)
        asked = json.loads(body)
        step, name = asked["step"], asked["name"].removeprefix("10.0.0.")
        code = 0
        if step == "start":
            machines[name] = subprocess.Popen([sys.executable, "-c", MACHINE], start_new_session=True)
            (folder / name).write_text(str(machines[name].pid))
        elif name not in machines:
            code = 4
        elif step == "stop":
            with contextlib.suppress(ProcessLookupError):
                os.killpg(machines.pop(name).pid, signal.SIGKILL)
            (folder / name).unlink()
        else:  # nothing of the caller's environment; the caller's own pipes, which end with it
            process = subprocess.Popen(
                ["sh", "-c", asked["word"]],
                stdin=fds[0],
                stdout=fds[1],
                stderr=fds[2],
                process_group=0,
                env={"PATH": os.environ["PATH"], "HOME": str(folder)},
            )
        for fd in fds:
            os.close(fd)
        if step == "run" and code == 0:
            code = wait_with(process, machines[name])
        with contextlib.suppress(OSError):
            connection.sendall(str(code).encode())


def wait_with(process: subprocess.Popen[bytes], machine: subprocess.Popen[bytes]) -> int:
    """Wait for a command; a machine that is stopped takes it along."""
    while process.poll() is None:
        if machine.poll() is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        time.sleep(0.02)
    return process.returncode & 255


def call(folder: Path, step: str, name: str, word: str) -> int:
    with (folder / "calls").open("a") as calls:
        calls.write(f"{step} {name}\n")
    if (slow := folder / f"slow-{step}").exists():
        time.sleep(float(slow.read_text()))
    if (folder / f"fail-{step}").exists():
        print(f"the provider refuses to {step} {name}: no money", flush=True)
        return 5
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(str(folder / "socket"))
        message = json.dumps({"step": step, "name": name, "word": word}).encode()
        socket.send_fds(server, [message], [0, 1, 2])
        code = int(server.recv(16) or b"255")
    if step == "start" and code == 0:
        print(f"starting {name}\n10.0.0.{name}", flush=True)
    return code


if __name__ == "__main__":
    where, what, *rest = sys.argv[1:]
    if what == "serve":
        serve(Path(where))
    raise SystemExit(call(Path(where), what, rest[0], rest[1] if len(rest) > 1 else ""))
