"""The colours of series in all charts. They are those of the report's light theme, --c0 to --c9."""

from __future__ import annotations

COLORS = ("#2f6fdb", "#d9730d", "#12967f", "#b8407c", "#7a5fd0", "#8a8f1c", "#c0392b", "#2a91b8", "#8d6e4c", "#6b7785")


def of(number: int) -> str:
    """Return the colour of series `number`, counted from 0. After ten series the colours repeat."""
    return COLORS[number % len(COLORS)]
