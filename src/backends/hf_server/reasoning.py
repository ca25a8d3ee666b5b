"""What a thinking model thinks, kept apart from its answer: `<think>...</think>` before it. Standard library only.

vLLM and SGLang do the same with a parser that has to be named (`reasoning_parser`); here the marks themselves decide.
"""

from __future__ import annotations

START, END = "<think>", "</think>"


class ReasoningSplit:
    """Takes the text of an answer in pieces and gives each on as reasoning or answer."""

    def __init__(self, prompt: str) -> None:
        """Begin within the reasoning where the chat template has opened it."""
        self._state = "thinking" if prompt.rstrip().endswith(START) else "start"
        self._held = ""  # what may turn out to be a mark

    def feed(self, piece: str, *, last: bool = False) -> tuple[str, str]:
        """Return what of the text so far is now certain: reasoning, answer. `last`: nothing can complete a mark."""
        text, self._held = self._held + piece, ""
        if self._state == "start":
            opening = text.lstrip()
            if not last and START.startswith(opening):
                self._held = text
                return "", ""
            if opening.startswith(START):
                self._state, text = "thinking", opening[len(START) :]
            else:
                self._state = "answer"
        if self._state == "answer":
            return "", text
        reasoning, end, answer = text.partition(END)
        if end:
            self._state = "answer"
            return reasoning, answer
        if not last:
            keep = next((length for length in range(len(END) - 1, 0, -1) if text.endswith(END[:length])), 0)
            reasoning, self._held = text[: len(text) - keep], text[len(text) - keep :]
        return reasoning, ""
