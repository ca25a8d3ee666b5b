"""Classic OCR as an engine: a program reads the picture of a request, and its text is the answer.

It runs as `python -m backends.ocr_server --engine tesseract --languages rus+eng --port N` and speaks OpenAI chat
completions as every engine does (`backends.chat_server`), so that it is asked, measured and compared like a model. It
can't be asked anything: what the messages say in words is not read.
"""
