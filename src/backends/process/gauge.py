"""The peak of a gauge that an engine only tells the present value of."""

from __future__ import annotations

import threading
from collections.abc import Callable

from backends.prometheus import Metrics

_EVERY_S = 0.5


class GaugePeak:
    """Asks for a gauge twice a second, in a thread, until it is stopped."""

    def __init__(self, read: Callable[[], str], name: str) -> None:
        """Start asking; `read` returns a body of Prometheus text, empty where there is none."""
        self._read, self._name = read, name
        self._peak: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=f"peak of {name}", daemon=True)
        self._thread.start()

    def stop(self) -> float | None:
        """Stop and return the highest value seen, None where none was. May be called again."""
        self._stop.set()
        self._thread.join(timeout=5.0)
        return self._peak

    def _follow(self) -> None:
        while not self._stop.is_set():
            value = Metrics(self._read()).highest(self._name)
            if value is not None:
                self._peak = value if self._peak is None else max(self._peak, value)
            self._stop.wait(_EVERY_S)
