"""The colours of series in all charts: those of the report's page, --c0 to --c9 in light."""

from __future__ import annotations

COLORS = ("#2f6fdb", "#d9730d", "#12967f", "#b8407c", "#7a5fd0", "#8a8f1c", "#c0392b", "#2a91b8", "#8d6e4c", "#6b7785")


def of(number: int) -> str:
    """Return the colour of the n-th series, from 0; beyond ten they repeat."""
    return COLORS[number % len(COLORS)]
