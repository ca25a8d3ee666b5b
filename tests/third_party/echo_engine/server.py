"""An OpenAI endpoint in the standard library: streams the last text of the question back, word by word."""

import argparse
import base64
import json
import os
import pathlib
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--crash_after", type=int, default=-1)
parser.add_argument("--delay_s", type=float, default=0.0)
parser.add_argument("--start_s", type=float, default=0.0)
parser.add_argument("--fail_on", default="")
parser.add_argument("--record", default="")
parser.add_argument("--hang_after", type=int, default=-1)
parser.add_argument("--slow_on", default="")
parser.add_argument("--shout", default="")  # true: tell the log every secret there is
parser.add_argument("--memory", type=int, default=-1)  # pixels of an image that it can hold
options = parser.parse_args()
options.crash_after = int(os.environ.get("ECHO_CRASH_AFTER", options.crash_after))
options.record = os.environ.get("ECHO_RECORD", options.record)
lock, served = threading.Lock(), 0


def area(body):
    """The pixels of the largest picture, as the request lets them be."""
    limit = (body.get("mm_processor_kwargs") or {}).get("max_pixels") or 10**9
    largest = 0
    for message in body["messages"]:
        for part in message["content"] if isinstance(message["content"], list) else []:
            if part["type"] == "image_url":
                png = base64.b64decode(part["image_url"]["url"].partition(",")[2])
                largest = max(largest, int.from_bytes(png[16:20], "big") * int.from_bytes(png[20:24], "big"))
    return min(largest, limit)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.reply(200 if self.path == "/health" else 404, b"{}")

    def do_POST(self):
        global served
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with lock:
            served += 1
            if served == options.crash_after:
                print("EchoCrash: as told", flush=True)
                os._exit(3)
            hangs = 0 <= options.hang_after < served
            if options.record:
                with pathlib.Path(options.record).open("a") as file:
                    file.write(json.dumps(body["seed"]) + "\n")
        parts = body["messages"][-1]["content"]
        text = parts if isinstance(parts, str) else next(p["text"] for p in reversed(parts) if p["type"] == "text")
        slow = options.slow_on and options.slow_on in text
        time.sleep(3600 if hangs else 4 if slow else options.delay_s)
        if options.memory >= 0 and area(body) > options.memory:
            self.reply(507, json.dumps({"error": {"message": "out of memory", "code": "out_of_memory"}}).encode())
            return
        if options.fail_on and options.fail_on in text:
            words = "told to fail" + (f", by {dict(self.headers)}" if options.shout else "")
            self.reply(400, json.dumps({"error": {"message": words, "code": "bad_image"}}).encode())
            return
        chunks = [{"choices": [{"index": 0, "delta": {"content": word}}]} for word in text.partition(" ") if word]
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        chunks.append({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": len(text.split())}})
        stream = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
        self.reply(200, stream.encode(), "text/event-stream")

    def reply(self, status, body, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


time.sleep(options.start_s)
print("echo engine serving", "GPUs:", os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
if options.shout:
    print(json.dumps(dict(os.environ)), "Authorization: Bearer abcdef-0123456789", flush=True)
    print("postgresql://team:canary-of-an-address@db.example/mlflow", flush=True)
server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
server.daemon_threads = True
try:
    server.serve_forever()
except KeyboardInterrupt:
    sys.exit(0)
