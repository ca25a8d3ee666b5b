"""Puts a user's `key=value` into the quotation marks that Hydra's grammar wants.

The grammar (hydra-core 1.3.8, grammar/OverrideLexer.g4) takes few characters without them: no letter beyond ASCII, no
`<`, no `=` in a value, no apostrophe. `understood` quotes what it would refuse, so that `dataset.field=Фамилия` and
`'dataset.columns={question: Вопрос}'` arrive as they were written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from runner.config.overrides import in_quotes

# What Hydra takes without quotation marks; `\,` and the like are its escapes.
_UNQUOTED = re.compile(r"(?:[\w/+.$%*@?|: \t-]|\\[\\()\[\]{}:=, \t]|\\(?![\\()\[\]{}:=, \t])|\$\{[^{}]+\})*", re.ASCII)
_DICT_KEY = re.compile(r"[\w/+.$%*@?| \t-]+", re.ASCII)
_QUOTED = re.compile(r"""[ \t]*(?:'(?:\\\\)*'|"(?:\\\\)*"|'.*?[^\\](?:\\\\)*'|".*?[^\\](?:\\\\)*")[ \t]*""", re.DOTALL)
_FUNCTION = re.compile(r"[ \t]*(?:choice|range|interval|glob|sort|shuffle|tag|int|float|str|bool)[ \t]*\(")
_CALL = re.compile(r"[A-Za-z_]\w*\(.*\)", re.ASCII | re.DOTALL)
_ARGUMENT = re.compile(r"[ \t]*[A-Za-z_]\w*[ \t]*=[ \t]*", re.ASCII)
_BLANKS = " \t"
_CLOSING = {"[": "]", "{": "}", "(": ")"}


class NotUnderstood(ValueError):
    """A value that can be read in several ways or in none; the message says what would be taken."""


def understood(argument: str, *, is_text: bool = False) -> str:
    """Return a `key=value` as Hydra takes it, with the texts in quotation marks that its grammar wouldn't take bare.

    Lists, mappings, choices (`a,b`), functions (`choice(...)`), quotation marks and `${...}` keep their meaning, and a
    backslash before `,`, a bracket or a brace is an escape, as in Hydra. What Hydra takes bare is left as it is, with
    all of Hydra's escapes. `is_text`: the key takes text, so that `1.10` and `true` are texts and stay as written,
    where Hydra would hand on 1.1 and True. Raise NotUnderstood where brackets don't pair or the key of a mapping is not
    ASCII.
    """
    key, equals, value = argument.partition("=")
    bare = _UNQUOTED.fullmatch(value) and not (is_text and _is_changed(value))
    if not equals or argument.startswith("-") or bare:
        return argument
    return f"{key}={_Reader(value, is_text=is_text).value()}"


def _is_changed(text: str) -> bool:
    """Tell whether Hydra takes a text for a number or a truth value that is written otherwise."""
    text = text.strip(_BLANKS)
    for kind in (int, float):
        try:
            return str(kind(text)) != text
        except (ValueError, OverflowError):
            continue
    return text.lower() in ("true", "false")


class _Reader:
    """Reads one value from left to right, and spells it as Hydra takes it."""

    def __init__(self, value: str, *, is_text: bool = False) -> None:
        self.text, self.at, self.is_text = value, 0, is_text

    def value(self) -> str:
        """Return the whole value: one element, or several with commas between them."""
        elements = [self._element(",", alone=True)]
        while self.at < len(self.text):
            self.at += 1  # the comma
            elements.append(self._element(","))
        if len(elements) == 1:
            return elements[0]
        if any(not one.strip(_BLANKS) for one in elements):
            raise NotUnderstood("a comma with nothing beside it; several values are a,b without blanks around them")
        if any(_cut(one) for one in elements):
            raise NotUnderstood("a comma between quotation marks that stand within a text")
        return ",".join(elements)

    def _element(self, ends: str, *, alone: bool = False) -> str:
        """Return the element at this place, and stop before one of `ends` or at the end."""
        begin = self.at
        quoted = _QUOTED.match(self.text, begin)
        if quoted and self._ends(quoted.end(), ends):
            self.at = quoted.end()
            return quoted.group().strip(_BLANKS)
        if found := _FUNCTION.match(self.text, begin):
            self.at = found.end()
            told = found.group() + ",".join(self._members(")", self._argument)) + ")"
            if self._ends(self.at, ends):
                return told
            self.at = begin
        first = self.text[begin:].lstrip(_BLANKS)[:1]
        if first in ("[", "{"):
            self.at = self.text.index(first, begin) + 1
            member = self._pair if first == "{" else lambda: self._element(f",{_CLOSING['[']}")
            told = first + ",".join(self._members(_CLOSING[first], member)) + _CLOSING[first]
            self._blanks()
            if self._ends(self.at, ends):
                return told
            raise NotUnderstood(f"there is more behind the {_CLOSING[first]!r} that ends a {_KINDS[first]}")
        return self._bare(ends, alone=alone)

    def _members(self, closing: str, member: Callable[[], str]) -> Iterator[str]:
        """Yield what stands between brackets; what opens them has been read."""
        self._blanks()
        if self.text[self.at : self.at + 1] == closing:
            self.at += 1
            return
        while True:
            one = member()
            if not one.strip(_BLANKS):
                raise NotUnderstood("a comma with nothing beside it")
            yield one
            end = self.text[self.at : self.at + 1]
            self.at += 1
            if end == closing:
                return
            if end != ",":
                raise NotUnderstood(f"a {closing!r} is missing")

    def _argument(self) -> str:
        name = _ARGUMENT.match(self.text, self.at)
        if name:
            self.at = name.end()
        return (name.group() if name else "") + self._element(",)")

    def _pair(self) -> str:
        """Return a key and its value, `key: value`."""
        colon = re.compile(r"[^:,{}\[\]]*").match(self.text, self.at)
        assert colon is not None, "the pattern takes no character, too"
        key = colon.group().strip(_BLANKS)
        if self.text[colon.end() : colon.end() + 1] != ":":
            raise NotUnderstood(f"{key!r} in braces has no value: {{key: value}}")
        if not _DICT_KEY.fullmatch(key):
            what = f"{key!r} can't be a key on a command line, where Hydra takes ASCII letters without quotation marks"
            raise NotUnderstood(f"{what}; write it into a file: conf/experiment/NAME.yaml takes any key")
        self.at = colon.end() + 1
        return f"{key}: {self._element(',}').lstrip(_BLANKS)}"

    def _bare(self, ends: str, *, alone: bool) -> str:
        """Return what has no quotation marks: as it stands where Hydra takes it so, else as a text in quotes."""
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
        if depth:  # a bracket that nothing closes is a character like any other
            self.at = self._plain_end(begin, ends)
        told = self.text[begin : self.at]
        if self.is_text and _is_changed(told):
            return in_quotes(told.strip(_BLANKS))
        if _UNQUOTED.fullmatch(told) or _CALL.fullmatch(told.strip(_BLANKS)):
            return told
        if not alone or self.at < len(self.text):
            told = told.strip(_BLANKS)
        return in_quotes(re.sub(r"\\([,\[\]{}])", r"\1", told))

    def _plain_end(self, begin: int, ends: str) -> int:
        found = re.compile(rf"(?:\\[,\[\]{{}}]|[^{re.escape(ends)}])*", re.DOTALL).match(self.text, begin)
        assert found is not None, "the pattern takes no character, too"
        return found.end()

    def _ends(self, at: int, ends: str) -> bool:
        return at == len(self.text) or self.text[at] in ends

    def _blanks(self) -> None:
        while self.text[self.at : self.at + 1] in (" ", "\t"):
            self.at += 1


_KINDS = {"[": "list", "{": "mapping"}


def _cut(element: str) -> bool:
    """Tell whether a text of ours, in single quotation marks, holds one half of a pair of double ones."""
    return element.startswith("'") and element.count('"') % 2 == 1
