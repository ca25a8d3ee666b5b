"""Adds the quotation marks to a user's `key=value` that Hydra's grammar requires.

Without quotation marks the grammar (hydra-core 1.3.8, grammar/OverrideLexer.g4) takes few characters: no letter beyond
ASCII, no `<`, no `=` in a value, no apostrophe. `quoted` quotes what Hydra would refuse, so that
`dataset.field=Фамилия` and `'dataset.columns={question: Вопрос}'` mean what they say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from runner.config.overrides import in_quotes

# The texts that Hydra takes without quotation marks. `\,` and the like are Hydra's escapes.
_UNQUOTED = re.compile(r"(?:[\w/+.$%*@?|: \t-]|\\[\\()\[\]{}:=, \t]|\\(?![\\()\[\]{}:=, \t])|\$\{[^{}]+\})*", re.ASCII)
_DICT_KEY = re.compile(r"[\w/+.$%*@?| \t-]+", re.ASCII)
_QUOTED = re.compile(r"""[ \t]*(?:'(?:\\\\)*'|"(?:\\\\)*"|'.*?[^\\](?:\\\\)*'|".*?[^\\](?:\\\\)*")[ \t]*""", re.DOTALL)
_FUNCTION = re.compile(r"[ \t]*(?:choice|range|interval|glob|sort|shuffle|tag|int|float|str|bool)[ \t]*\(")
_CALL = re.compile(r"[A-Za-z_]\w*\(.*\)", re.ASCII | re.DOTALL)
_ARGUMENT = re.compile(r"[ \t]*[A-Za-z_]\w*[ \t]*=[ \t]*", re.ASCII)
_BLANKS = " \t"
_CLOSING = {"[": "]", "{": "}", "(": ")"}


class UnreadableValue(ValueError):
    """A value that can be read in several ways or in none. The message says what can be written instead."""


def quoted(argument: str, *, is_text: bool = False) -> str:
    """Return a `key=value` with quotation marks around the texts that Hydra's grammar does not take without them.

    Lists, mappings, choices (`a,b`), functions (`choice(...)`), quotation marks and `${...}` keep their meaning. A
    backslash before `,`, a bracket or a brace is an escape, as in Hydra. A value that Hydra takes is not changed.
    `is_text` says that the key takes text: then `1.10` and `true` stay as written, while Hydra would make them 1.1 and
    True. Raise UnreadableValue if brackets don't match or the key of a mapping is not ASCII.
    """
    key, equals, value = argument.partition("=")
    bare = _UNQUOTED.fullmatch(value) and not (is_text and _is_changed(value))
    if not equals or argument.startswith("-") or bare:
        return argument
    return f"{key}={_Reader(value, is_text=is_text).value()}"


def _is_changed(text: str) -> bool:
    """Return whether Hydra reads a text as a number or a truth value that it writes differently, such as 1.10."""
    text = text.strip(_BLANKS)
    for kind in (int, float):
        try:
            return str(kind(text)) != text
        except (ValueError, OverflowError):
            continue
    return text.lower() in ("true", "false")


class _Reader:
    """Reads one value from left to right, and writes it as Hydra takes it."""

    def __init__(self, value: str, *, is_text: bool = False) -> None:
        self.text, self.at, self.is_text = value, 0, is_text
        self.pairs = 0  # how many members of mappings have been read

    def value(self) -> str:
        """Return the whole value: one element, or several elements that are separated by commas."""
        elements = [self._element(",", alone=True)]
        while self.at < len(self.text):
            self.at += 1  # the comma
            elements.append(self._element(","))
        if len(elements) == 1:
            return elements[0]
        if any(not element.strip(_BLANKS) for element in elements):
            raise UnreadableValue("a comma with nothing beside it; several values are a,b without blanks around them")
        if any(_is_cut(element) for element in elements):
            raise UnreadableValue("a comma between quotation marks that stand within a text")
        return ",".join(elements)

    def _element(self, ends: str, *, alone: bool = False) -> str:
        """Return the element that begins here. Stop before a character of `ends`, or at the end of the value."""
        begin = self.at
        quoted = _QUOTED.match(self.text, begin)
        if quoted and self._ends(quoted.end(), ends):
            self.at = quoted.end()
            return quoted.group().strip(_BLANKS)
        if function := _FUNCTION.match(self.text, begin):
            self.at = function.end()
            call = function.group() + ",".join(self._members(")", self._argument)) + ")"
            if self._ends(self.at, ends):
                return call
            self.at = begin
        first = self.text[begin:].lstrip(_BLANKS)[:1]
        if first in ("[", "{"):
            self.at = self.text.index(first, begin) + 1
            member = self._pair if first == "{" else lambda: self._element(f",{_CLOSING['[']}")
            container = first + ",".join(self._members(_CLOSING[first], member)) + _CLOSING[first]
            self._blanks()
            if self._ends(self.at, ends):
                return container
            raise UnreadableValue(f"there is more behind the {_CLOSING[first]!r} that ends a {_KINDS[first]}")
        return self._bare(ends, alone=alone)

    def _members(self, closing: str, member: Callable[[], str]) -> Iterator[str]:
        """Yield the members between brackets. The opening bracket has been read already."""
        self._blanks()
        if self.text[self.at : self.at + 1] == closing:
            self.at += 1
            return
        while True:
            text = member()
            if not text.strip(_BLANKS):
                raise UnreadableValue("a comma with nothing beside it")
            yield text
            end = self.text[self.at : self.at + 1]
            self.at += 1
            if end == closing:
                return
            if end != ",":
                raise UnreadableValue(f"a {closing!r} is missing")

    def _argument(self) -> str:
        name = _ARGUMENT.match(self.text, self.at)
        if name:
            self.at = name.end()
        return (name.group() if name else "") + self._element(",)")

    def _pair(self) -> str:
        """Return a key and its value, `key: value`."""
        colon = re.compile(r"[^:,{}\[\]]*").match(self.text, self.at)
        assert colon is not None, "the pattern matches the empty text, too"
        key = colon.group().strip(_BLANKS)
        if self.text[colon.end() : colon.end() + 1] != ":":
            hint = "; a text with a comma needs quotation marks: {key: 'a, b'}" if self.pairs else ""
            raise UnreadableValue(f"{key!r} in braces has no value: {{key: value}}{hint}")
        if not _DICT_KEY.fullmatch(key):
            what = f"{key!r} can't be a key on a command line, where Hydra takes ASCII letters without quotation marks"
            raise UnreadableValue(f"{what}; write it into a file: conf/experiment/NAME.yaml takes any key")
        self.at = colon.end() + 1
        self.pairs += 1
        value = self._element(",}").lstrip(_BLANKS)
        if not value:
            raise UnreadableValue(f"{key!r} in braces has no value; for none write {{{key}: null}}")
        return f"{key}: {value}"

    def _bare(self, ends: str, *, alone: bool) -> str:
        """Return an element without quotation marks: unchanged if Hydra takes it so, else in quotation marks."""
        begin = self.at
        depth: list[str] = []
        while self.at < len(self.text):
            character = self.text[self.at]
            if character == "\\" and self.text[self.at + 1 : self.at + 2] in tuple(",[]{}"):
                self.at += 2
                continue
            if not depth and character in ends:
                break
            if character in _CLOSING:
                depth.append(_CLOSING[character])
            elif depth and character == depth[-1]:
                depth.pop()
            self.at += 1
        if depth:  # a bracket without its closing bracket is an ordinary character
            self.at = self._plain_end(begin, ends)
        text = self.text[begin : self.at]
        if self.is_text and _is_changed(text):
            return in_quotes(text.strip(_BLANKS))
        if _UNQUOTED.fullmatch(text) or _CALL.fullmatch(text.strip(_BLANKS)):
            return text
        if not alone or self.at < len(self.text):
            text = text.strip(_BLANKS)
        return in_quotes(re.sub(r"\\([,\[\]{}])", r"\1", text))

    def _plain_end(self, begin: int, ends: str) -> int:
        match = re.compile(rf"(?:\\[,\[\]{{}}]|[^{re.escape(ends)}])*", re.DOTALL).match(self.text, begin)
        assert match is not None, "the pattern matches the empty text, too"
        return match.end()

    def _ends(self, at: int, ends: str) -> bool:
        return at == len(self.text) or self.text[at] in ends

    def _blanks(self) -> None:
        while self.text[self.at : self.at + 1] in (" ", "\t"):
            self.at += 1


_KINDS = {"[": "list", "{": "mapping"}


def _is_cut(element: str) -> bool:
    """Return whether a text that was quoted here contains only one of a pair of double quotation marks."""
    return element.startswith("'") and element.count('"') % 2 == 1
