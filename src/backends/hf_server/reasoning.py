"""Separates the reasoning `<think>...</think>` of a thinking model from its answer. Standard library only.

vLLM and SGLang do the same with a parser that must be chosen (`reasoning_parser`); here the marks in the text decide.
"""

from __future__ import annotations

START, END = "<think>", "</think>"


class ReasoningSplit:
    """Splits the text of an answer, which arrives in pieces, into reasoning and answer."""

    def __init__(self, prompt: str) -> None:
        """Start in the reasoning if the prompt ends with the opening mark."""
        self._state = "thinking" if prompt.rstrip().endswith(START) else "start"
        self._held = ""  # text that may be the beginning of a mark

    def feed(self, piece: str, *, last: bool = False) -> tuple[str, str]:
        """Return the text that is now certain, as (reasoning, answer). `last`: no text follows to complete a mark."""
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
