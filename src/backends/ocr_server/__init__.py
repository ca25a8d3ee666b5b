"""Classic OCR as an engine: an OCR program reads the picture of a request, and its text is the answer.

It runs as `python -m backends.ocr_server --engine tesseract --languages rus+eng --port N` and serves OpenAI chat
completions like every engine (`backends.chat_server`), so that it is measured and compared like a model. The texts of
the messages are ignored: an OCR program can't answer questions.
"""
