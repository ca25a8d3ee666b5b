"""Our Hugging Face inference server: it serves one model in one process by OpenAI chat completions.

It runs as `python -m backends.hf_server --model PATH_OR_ID --port N` in the environment that a model needs. So it
imports only this package and `backends.chat_server` from this project, and only torch, transformers, pillow and aiohttp
from others. `http` answers while `loading` loads the model; `batcher` passes requests to the one thread that runs the
model; `families` prepare the inputs for each kind of checkpoint; `generation` runs a batch; `statistics` reports sizes,
times and counts.
"""
