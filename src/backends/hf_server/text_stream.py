"""From tokens to text, piece by piece: never half a character, never a piece of a stop text. Standard library only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

# An incomplete UTF-8 character is at most three bytes, and a decoder shows each as at most one U+FFFD.
LONGEST_INCOMPLETE = 3
REPLACEMENT = "�"


class TextStream:
    """The growing text of one answer.

    `decode` turns token ids into text. Only a window of the last tokens is decoded at each step: decoding all of them
    costs quadratic time, and decoding one alone loses the spaces that some tokenizers put between tokens.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], stop: Sequence[str] = ()):
        self._decode = decode
        self._stop = tuple(stop)
        self._ids: list[int] = []
        self._window = 0  # first token of the window
        self._settled = 0  # tokens before this one are known to end in a whole character
        self._given = 0  # characters of the window's text that were handed on
        self._held = ""  # text that may turn out to begin a stop text
        self.stopped = False

    def feed(self, token: int) -> str:
        """Add a token; return the text that is now certain, possibly empty. Sets `stopped` at a stop text."""
        self._ids.append(token)
        text = self._decode(self._ids[self._window :])
        # A longer run of U+FFFD is broken output and no incomplete character: its beginning is certain.
        whole = text[: max(len(text.rstrip(REPLACEMENT)), len(text) - LONGEST_INCOMPLETE)]
        piece = whole[self._given :]
        self._given = max(self._given, len(whole))
        if not text.endswith(REPLACEMENT):
            self._window, self._settled = self._settled, len(self._ids)
            self._given = len(self._decode(self._ids[self._window : self._settled]))
        return self._release(piece)

    def finish(self) -> str:
        """Return what was held back: the answer ends here, so nothing can complete it."""
        if self.stopped:
            return ""
        rest = self._decode(self._ids[self._window :])[self._given :]
        text = self._release(rest)
        if not self.stopped:
            text, self._held = text + self._held, ""
        return text

    def _release(self, piece: str) -> str:
        text = self._held + piece
        if not self._stop:
            return text
        found = [position for stop in self._stop if (position := text.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)]
        keep = max(_overlap(text, stop) for stop in self._stop)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` with which `stop` begins."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
