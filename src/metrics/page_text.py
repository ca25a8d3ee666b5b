"""Texts without the markup of Markdown and HTML: what a reader of the page sees."""

from __future__ import annotations

import html
import re

_EMPHASIS = re.compile(r"(\*\*|__|~~)(?=\S)(.{1,2000}?)(?<=\S)\1|(?<!\w)([*_])(?=\S)([^*_\n]{1,2000}?)(?<=\S)\3(?!\w)")
_CODE = re.compile(r"`([^`\n]{1,2000})`")
_LINK = re.compile(r"\[([^\[\]\n]{0,500})\]\([^()\n]{0,2000}\)")
_ESCAPED = re.compile(r"\\([|*_`#~<>])")
# Names of HTML: `a < b > c` is no tag.
_INLINE = re.compile(
    r"</?(?:a|abbr|b|big|cite|code|del|em|font|i|ins|kbd|mark|s|small|span|strike|strong|sub|sup|tt|u|var)"
    r"(?:\s[^<>\n]{0,500})?/?>",
    re.IGNORECASE,
)


def plain(text: str) -> str:
    """Return a text on one line without tags within lines, emphasis, links and escapes; entities are characters."""
    if "<" in text:
        text = _INLINE.sub("", text)
    if "&" in text:
        text = html.unescape(text)
    if "](" in text:
        text = _LINK.sub(r"\1", text)
    if "`" in text:
        text = _CODE.sub(r"\1", text)
    if "*" in text or "_" in text or "~" in text:
        text = _EMPHASIS.sub(lambda found: found[2] or found[4], text)
    if "\\" in text:
        text = _ESCAPED.sub(r"\1", text)
    return " ".join(text.split())
