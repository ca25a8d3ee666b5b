"""The log of an engine, read from its end."""

from __future__ import annotations

import re
from pathlib import Path

from backends.redaction import redact

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Log:
    """A file that a process appends to. Secrets are blanked out of whatever is read."""

    def __init__(self, path: Path, secret: str = "") -> None:
        """Begin at the present end of `path`: what earlier engines wrote there is not this one's."""
        self.path = path
        self._secret = secret
        self._begin = path.stat().st_size if path.exists() else 0

    def head(self, limit: int = 4_000_000) -> str:
        """Return the beginning, at most `limit` bytes."""
        return self._read(self._begin, limit)

    def tail(self, limit: int = 65_536) -> str:
        """Return the end, at most `limit` bytes."""
        if not self.path.exists():
            return ""
        return self._read(max(self._begin, self.path.stat().st_size - limit), limit)

    def last_lines(self, count: int) -> list[str]:
        """Return the last lines that say something; a progress bar's many states are its last one."""
        lines = [line.rsplit("\r", 1)[-1].rstrip() for line in self.tail().replace("\r\n", "\n").split("\n")]
        return [line for line in lines if line][-count:]

    def _read(self, begin: int, limit: int) -> str:
        try:
            with self.path.open("rb") as file:
                file.seek(begin)
                text = file.read(limit).decode("utf-8", "replace")
        except FileNotFoundError:
            return ""
        text = _ESCAPES.sub("", text)
        return redact(text.replace(self._secret, "***") if self._secret else text)
