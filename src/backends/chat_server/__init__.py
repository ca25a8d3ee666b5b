"""What our own engines have in common: OpenAI chat completions over HTTP, whatever answers behind it.

`protocol` reads a request, `completions` writes an answer, `errors` are what a client is told, `images` decodes
pictures, `http` ties them together and `serving` listens. `backends.hf_server` and `backends.ocr_server` stand on it.
It runs in whatever environment an engine needs, so of this project it imports only `backends.pictures` beside this
package, and only pillow and aiohttp from outside.
"""
