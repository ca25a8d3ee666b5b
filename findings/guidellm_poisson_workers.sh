#!/bin/sh
# At which times guidellm 0.8.1 (PyPI) plans the requests of a load of kind `poisson`, by its own report, with its default settings:
# 400 requests at 40 a second to a small endpoint on this machine.
#
# Guess, written down before it was run: gaps that are exponential and all different, 400 of them.
# Seen: 44 different gaps among 399, the most frequent ones ten times each, as often as there are worker processes. Each process draws from
# a generator of its own that begins with the same seed, 42, and adds what it drew to a moment that all share
# (scheduler/strategies.py:AsyncPoissonStrategy). The mean rate is right in the long run, but ten gaps in a row are alike, so the number of
# requests that are due within a time has ten times the variance of a Poisson process: a short load is faster or slower than asked by far
# more than chance allows, and queues grow otherwise than the name says. With one process
# (GUIDELLM__MAX_WORKER_PROCESSES=1) few gaps, to a hundredth of a millisecond, stand there twice or three times.
# Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "guidellm==0.8.1"
cd "$folder"
cat > endpoint.py <<'PYTHON'
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CHUNKS = (
    {"model": "m", "choices": [{"index": 0, "delta": {"content": "7"}, "finish_reason": "stop"}]},
    {"model": "m", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}},
)
ANSWER = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in CHUNKS) + "data: [DONE]\n\n"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER.encode())

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True


server = Server(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
PYTHON
cat > planned.py <<'PYTHON'
import collections
import json
import os
import subprocess
import sys

COUNT = 400
port = sys.argv[1]
with open("questions.jsonl", "w") as file:
    for number in range(COUNT):
        file.write(json.dumps({"messages": [{"role": "user", "content": f"question {number}"}]}) + "\n")


def gaps(processes):
    backend = {"kind": "openai_http", "target": f"http://127.0.0.1:{port}/v1", "model": "m", "validate_backend": False}
    spec = {
        "backend": backend,
        "profile": {"kind": "poisson", "rate": [40]},
        "constraints": [{"kind": "max_requests", "count": COUNT}],
        "data": [{"kind": "json_file", "path": "questions.jsonl"}],
        "outputs": [{"kind": "json", "path": f"report-{processes}.json"}],
    }
    with open("spec.json", "w") as file:
        json.dump({"spec": spec}, file)
    variables = {**os.environ, "HF_HUB_OFFLINE": "1"}
    if processes:
        variables["GUIDELLM__MAX_WORKER_PROCESSES"] = str(processes)
    command = [os.path.join(os.path.dirname(sys.executable), "guidellm"), "run", "-c", "spec.json", "--disable-console"]
    subprocess.run(command, check=True, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (benchmark,) = json.load(open(f"report-{processes}.json"))["benchmarks"]
    due = sorted(one["info"]["timings"]["targeted_start"] for one in benchmark["requests"]["successful"])
    return [round(b - a, 5) for a, b in zip(due, due[1:])]


for processes in (None, 1):
    found = gaps(processes)
    times = collections.Counter(found)
    often = [count for _, count in times.most_common(10)]
    print(f"processes {processes or 'as by default'}: {len(found)} gaps, {len(times)} different; the most frequent {often} times")
    if processes is None:
        assert len(times) < len(found) / 2 and often[0] >= 5, times
    else:
        assert len(times) > 0.9 * len(found) and often[0] <= 4, times
PYTHON
"$folder/venv/bin/python" endpoint.py > port &
server=$!
trap 'kill "$server"; rm -rf "$folder"' EXIT
while [ ! -s port ]; do sleep 0.2; done
"$folder/venv/bin/python" planned.py "$(cat port)"
echo "as described"
