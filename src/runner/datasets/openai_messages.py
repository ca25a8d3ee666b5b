"""Questions as messages of OpenAI's chat protocol: its format for fine-tuning and for batches, or lists of messages.

    {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,…"}},
                                               {"type": "text", "text": "Какой номер?"}]},
                  {"role": "assistant", "content": "7"}]}

One object on each line, or a JSON list of them. The message of the assistant is the reference. A system text is the
sample's context: prompt.system='{{ context }}' sends it. Pictures are data: URLs, or paths. Nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runner.base.errors import Problem, Refused
from runner.config.dataset import DatasetConfig
from runner.datasets import nested
from runner.datasets.json_values import parsed
from runner.datasets.paths import need_file, show
from runner.datasets.reader import Row
from runner.datasets.tables import MEANINGS, check_options

READS = "JSON lines, or a JSON list, of objects with messages"
IDS = ("id", "custom_id")
NAMES = {meaning: meaning for meaning in MEANINGS}
EXAMPLE = '{"messages": [{"role": "user", "content": [...]}, {"role": "assistant", "content": "7"}]}'


class _Unreadable(ValueError):
    """Messages that are no single question about pictures."""


def read(config: DatasetConfig, path: Path) -> Iterator[Row | Problem]:
    """Read all conversations."""
    check_options(config)
    if config.columns:
        what = f"format {config.format} reads no columns: what a message means is its role"
        raise Refused(Problem(what, "dataset.columns", "leave it out"))
    where = show(need_file(path, READS))
    for number, (place, values) in enumerate(_objects(path, where)):
        if isinstance(values, Problem):
            yield values
            continue
        try:
            made = _values(values, str(number))
        except _Unreadable as error:
            yield Problem(str(error), place, EXAMPLE)
        else:
            yield nested.row(place, made, NAMES)


def _objects(path: Path, where: str) -> Iterator[tuple[str, Any]]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            begins = file.read(64).lstrip()[:1]
            file.seek(0)
            if begins != "[":
                for number, line in enumerate(file, start=1):
                    if line.strip():
                        yield f"{where}:{number}", parsed(f"{where}:{number}", line, READS)
                return
            content = parsed(where, file.read(), READS)
    except UnicodeDecodeError as error:
        raise Refused(Problem(f"is not UTF-8: {error}", where, "save the file as UTF-8")) from error
    if isinstance(content, Problem):
        raise Refused(content)
    # A list of messages alone is one conversation.
    alone = bool(content) and all(isinstance(item, dict) and "role" in item for item in content)
    yield from ((f"{where}, [{number}]", item) for number, item in enumerate([content] if alone else content))


def _values(given: Any, number: str) -> dict[str, Any]:
    """Return what a conversation says, by meaning. Raise _Unreadable."""
    values = {"messages": given} if isinstance(given, list) else given
    if not isinstance(values, Mapping):
        raise _Unreadable("is no object with messages")
    body = values.get("body")
    messages = (body if isinstance(body, Mapping) else values).get("messages")
    if not isinstance(messages, list) or not all(isinstance(item, Mapping) for item in messages):
        raise _Unreadable("there is no list 'messages'")
    turns: dict[str, list[Any]] = {"system": [], "user": [], "assistant": []}
    for message in messages:
        role = "system" if message.get("role") == "developer" else message.get("role")
        if role not in turns:
            raise _Unreadable(f"a message has the role {message.get('role')!r}; there are: {', '.join(turns)}")
        turns[role].append(message.get("content"))
    if len(turns["user"]) != 1 or len(turns["assistant"]) > 1:
        counts = f"{len(turns['user'])} of the user, {len(turns['assistant'])} of the assistant"
        raise _Unreadable(f"a conversation of several turns ({counts}); one question and at most one answer are read")
    texts, pictures = _parts(turns["user"][0])
    made = {key: value for key, value in values.items() if key in MEANINGS}
    made |= {"id": next((values[key] for key in IDS if values.get(key)), number), "images": pictures}
    made |= {"question": "\n".join(texts)}
    for role, meaning in (("assistant", "references"), ("system", "context")):
        if turns[role]:
            made[meaning] = "\n".join(_parts(turns[role][0])[0])
    return made


def _parts(content: Any) -> tuple[list[str], list[str]]:
    """Return the texts and the pictures of a message."""
    texts: list[str] = []
    pictures: list[str] = []
    for part in [{"type": "text", "text": content}] if isinstance(content, str) else content or ():
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind in ("text", "input_text", "output_text") and isinstance(part.get("text"), str):
            texts.append(part["text"])
            continue
        address = part.get("image_url") if kind in ("image_url", "input_image") else None
        url = address.get("url") if isinstance(address, Mapping) else address
        if not isinstance(url, str):
            raise _Unreadable(f"a part of type {kind!r}; text and image_url are read")
        if url.startswith(("http://", "https://")):
            raise _Unreadable(
                f"the picture {url[:80]} lies on a server, and nothing is fetched; put it beside the file"
            )
        pictures.append(url.removeprefix("file://"))
    return texts, pictures
