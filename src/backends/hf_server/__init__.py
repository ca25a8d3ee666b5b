"""Our Hugging Face inference server: one model in one process, asked in OpenAI chat completions.

It runs as `python -m backends.hf_server --model PATH_OR_ID --port N` in whatever environment a model needs, so it
imports nothing of this project outside this package and `backends.chat_server`, which has what our servers share, and
only torch, transformers, pillow and aiohttp from outside. `http` answers while `loading` still loads; `batcher` hands
requests to the one thread that owns the model; `families` know how a kind of checkpoint is fed; `generation` runs a
batch; `statistics` is the account of it all.
"""
