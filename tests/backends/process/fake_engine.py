"""An engine without a model, standard library only, that misbehaves on demand."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CHILD = "import time; time.sleep(300)"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--load_s", type=float, default=0.0, help="health answers 503 for so long")
    parser.add_argument("--crash", default="", help="words to die with at the start")
    parser.add_argument("--fail_health", default="", help="health answers 500 failed with these words; then exit 1")
    parser.add_argument("--deaf", choices=["yes"], help="never listen")
    parser.add_argument("--stubborn", choices=["yes"], help="ignore SIGTERM")
    parser.add_argument("--children", type=int, default=0, help="so many children, each in a session of its own")
    parser.add_argument("--pid_file", default="", help="where to write our and the children's process ids")
    return parser.parse_args()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    arguments: argparse.Namespace
    began = time.monotonic()
    asked = 0
    held: list[bytearray] = []  # noqa: RUF012

    def do_GET(self) -> None:
        key_ok = self.headers.get("Authorization") == f"Bearer {os.environ.get('RUNNER_ENGINE_KEY')}"
        if self.path == "/health":
            self.health()
        elif not key_ok:
            self.say(401, {"error": "wrong key"})
        elif self.path.startswith("/allocate/"):  # MB, until /free
            Handler.held.append(bytearray(b"\1") * (int(self.path.rsplit("/", 1)[1]) * 2**20))
            self.say(200, {})
        elif self.path == "/free":
            Handler.held.clear()
            self.say(200, {})
        elif self.path.startswith("/crash/"):
            print(self.path.rsplit("/", 1)[1].replace("+", " "), flush=True)
            os._exit(7)
        elif self.path in ("/statistics", "/v1/models"):
            self.say(200, {"asked": Handler.asked})
        else:
            self.say(404, {})

    def health(self) -> None:
        if self.arguments.fail_health:
            self.say(500, {"status": "failed", "error": self.arguments.fail_health})
            threading.Timer(0.1, os._exit, (1,)).start()
        elif time.monotonic() - self.began < self.arguments.load_s:
            self.say(503, {"status": "loading", "detail": "reading weights"})
        else:
            self.say(200, {"status": "ready"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)) or b"{}")
        if self.path != "/v1/chat/completions":
            return self.say(200, {})
        Handler.asked += 1
        words = body["messages"][-1]["content"]
        text = words if isinstance(words, str) else words[-1]["text"]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        choice = {"index": 0, "delta": {"content": f"echo: {text}"}, "finish_reason": "stop"}
        self.wfile.write(b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\ndata: [DONE]\n\n")
        self.close_connection = True
        return None

    def say(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the log to what the tests look for."""


def main() -> None:
    arguments = Handler.arguments = parse()
    print(f"fake engine on port {arguments.port}", flush=True)
    if arguments.stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # A shell in between that ends at once: grandchildren whose parent is gone, in sessions of their own.
    pids = [os.getpid()]
    for _ in range(arguments.children):
        code = f"import subprocess,sys; print(subprocess.Popen([sys.executable,'-c',{CHILD!r}],start_new_session=True,"
        code += "stdout=2).pid)"
        pids.append(int(subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout))
    if arguments.pid_file:
        with open(arguments.pid_file + ".part", "w") as file:  # noqa: PTH123
            json.dump(pids, file)
        os.replace(arguments.pid_file + ".part", arguments.pid_file)  # noqa: PTH105
    if arguments.crash:
        print(f"Traceback: {arguments.crash}; key {os.environ.get('RUNNER_ENGINE_KEY')}", file=sys.stderr, flush=True)
        sys.exit(3)
    if arguments.deaf:
        time.sleep(300)
    server = ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler)
    server.serve_forever()


if __name__ == "__main__":
    main()
