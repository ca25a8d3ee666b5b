"""OpenAI chat completions over HTTP: the base of our own engines, `backends.hf_server` and `backends.ocr_server`.

`protocol` parses a request, `completions` writes an answer, `errors` are the errors that a client sees, `images`
decodes pictures, `http` has the endpoints and `serving` listens. The package runs in the environment that an engine
needs. So it imports only `backends.pictures` from this project, and only pillow and aiohttp from others.
"""
