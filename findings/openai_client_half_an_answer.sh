#!/bin/sh
# What openai 3.57.0 (PyPI), the client that most harnesses ask endpoints with, makes of an error that comes in the
# middle of a stream, after half an answer.
#
# Guess, written down before it was run: each of the five forms raises openai.APIError.
# Seen: only {"error": {...}} does. A named event (`event: error`, in HTML's own form of server-sent events), the field
# `error:` of older llama.cpp servers, a flat {"object": "error"} and an error within a choice (which OpenRouter's schema
# has) end the iteration as if the answer were whole, with the words of the error lost.
# So who scores answers through it must look at finish_reason: half an answer looks like a whole one.
# Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "openai==3.57.0"
cat >"$folder/ask.py" <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai

ERROR = {"message": "boom", "code": 500}
HALF = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": {"content": "half an ans"}, "finish_reason": None}]}
WITHIN = {**HALF, "choices": [{"index": 0, "delta": {}, "finish_reason": "error", "error": ERROR}]}
FORMS = {
    "error": f"data: {json.dumps({'error': ERROR})}\n\n",
    "flat": f"data: {json.dumps({'object': 'error', **ERROR})}\n\n",
    "named event": f"event: error\ndata: {json.dumps({'type': 'overloaded_error', **ERROR})}\n\n",
    "field": f"error: {json.dumps(ERROR)}\n\n",
    "within the choice": f"data: {json.dumps(WITHIN)}\n\n",
}


class Endpoint(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(f"data: {json.dumps(HALF)}\n\n{FORMS[asked['model']]}data: [DONE]\n\n".encode())

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = openai.OpenAI(api_key="none", base_url=f"http://127.0.0.1:{server.server_port}/v1", max_retries=0)
found = {}
for form in FORMS:
    try:
        text = ""
        for chunk in client.chat.completions.create(
            model=form, messages=[{"role": "user", "content": "?"}], stream=True
        ):
            text += "".join(choice.delta.content or "" for choice in chunk.choices or [])
        found[form] = f"ended normally with {text!r}"
    except openai.APIError as error:
        found[form] = f"raised: {error}"
    print(f"openai {openai.__version__}, {form}: {found[form]}")
silent = "ended normally with 'half an ans'"
assert found == {form: "raised: boom" if form == "error" else silent for form in FORMS}, "it behaves differently now"
PYTHON
"$folder/venv/bin/python" "$folder/ask.py"
