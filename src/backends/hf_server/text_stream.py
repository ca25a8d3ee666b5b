"""Decodes tokens piece by piece, without incomplete characters or parts of a stop text. Standard library only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

# An incomplete UTF-8 character is at most three bytes, and a decoder shows each as at most one U+FFFD.
LONGEST_INCOMPLETE = 3
REPLACEMENT = "�"


class TextStream:
    """The growing text of one answer.

    `decode` turns token ids into text. At each step only a window of the last tokens is decoded: decoding all tokens
    would take quadratic time, and decoding a single token loses the spaces that some tokenizers put between tokens.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], stop: Sequence[str] = ()):
        self._decode = decode
        self._stop = tuple(stop)
        self._ids: list[int] = []
        self._window = 0  # index of the window's first token
        self._settled = 0  # the tokens before this index end with a complete character
        self._returned = 0  # number of characters of the window's text that were returned
        self._held = ""  # text that may be the beginning of a stop text
        self.grown = ""  # what the last token, or the end, completed, whether it is returned or held back
        self.stopped = False

    def feed(self, token: int) -> str:
        """Add a token; return the text that is now certain, possibly empty. Sets `stopped` at a stop text."""
        self._ids.append(token)
        text = self._decode(self._ids[self._window :])
        # A longer run of U+FFFD is broken output, not an incomplete character, so its beginning is certain.
        whole = text[: max(len(text.rstrip(REPLACEMENT)), len(text) - LONGEST_INCOMPLETE)]
        piece = whole[self._returned :]
        self._returned = max(self._returned, len(whole))
        if not text.endswith(REPLACEMENT):
            self._window, self._settled = self._settled, len(self._ids)
            self._returned = len(self._decode(self._ids[self._window : self._settled]))
        self.grown = piece
        return self._release(piece)

    def finish(self) -> str:
        """Return the text that was held back, because the answer ends here."""
        self.grown = ""
        if self.stopped:
            return ""
        self.grown = rest = self._decode(self._ids[self._window :])[self._returned :]
        text = self._release(rest)
        if not self.stopped:
            text, self._held = text + self._held, ""
        return text

    def _release(self, piece: str) -> str:
        text = self._held + piece
        if not self._stop:
            return text
        positions = [position for stop in self._stop if (position := text.find(stop)) >= 0]
        if positions:
            self.stopped, self._held = True, ""
            return text[: min(positions)]
        keep = max(_overlap(text, stop) for stop in self._stop)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest end of `text` that is a beginning of `stop`."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
