r"""What a thinking model thought, cut off the beginning of its answer: one rule for all. Standard library only.

    "<think>Вижу паспорт.</think>\n\nИванов"   ->  ("Вижу паспорт.", "Иванов")
    "Вижу паспорт.</think>\n\nИванов"          ->  the same: the chat template had opened the thought
    "<think>Вижу паспорт, поле"                ->  ("Вижу паспорт, поле", ""): cut off before it answered

Engines that keep thoughts apart (a reasoning parser, our HF server) are believed, and nothing is cut. A mark that
stands further back belongs to the answer: a document may hold it.
"""

from __future__ import annotations

import re

# The marks of published models, as the reasoning parsers of vLLM and SGLang know them.
_PAIRS = (
    ("<think>", "</think>"),  # DeepSeek-R1, Qwen3, GLM, MiniMax, Phi-4-reasoning, Hunyuan, ERNIE
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),  # EXAONE Deep; Gemini behind its OpenAI endpoint
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),  # Seed-OSS
    ("[THINK]", "[/THINK]"),  # Magistral
    ("◁think▷", "◁/think▷"),  # Kimi-VL
)
# Of these the chat template may open the thought, so that only the end is written.
_OPENED_BY_TEMPLATE = ("</think>", "</seed:think>", "[/THINK]", "◁/think▷")
# A tag that a sentence speaks of stands behind a space, a quote or a bracket, and the line goes on.
_SPOKEN_OF = re.compile(r"[ \t\"'`«“(]$")
_LINE_ENDS = re.compile(r"[ \t]*(?:[\r\n]|$)")
# gpt-oss (OpenAI's harmony format), where an engine doesn't read it: <|channel|>NAME<|message|>TEXT<|end|> ...
_HARMONY = re.compile(r"\s*(?:<\|start\|>assistant)?<\|channel\|>")
_CHANNEL = re.compile(
    r"(?:<\|start\|>assistant)?<\|channel\|>\s*(?P<name>\w+)[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>"
    r"(?P<text>.*?)(?:<\|end\|>|<\|return\|>|<\|call\|>|(?=<\|start\|>|<\|channel\|>)|\Z)",
    re.DOTALL,
)


def split(text: str) -> tuple[str | None, str]:
    """Return reasoning and answer. None where the text does not begin with a thought; then the answer is all of it."""
    if _HARMONY.match(text):
        return _channels(text)
    beginning = text.lstrip()
    for start, end in _PAIRS:
        if beginning.startswith(start):
            thought, _, answer = beginning[len(start) :].partition(end)
            return thought.strip(), answer.lstrip()
    for start, end in _PAIRS:
        before, mark, after = text.partition(end)
        if mark and end in _OPENED_BY_TEMPLATE and start not in before and _ends_a_thought(before, after):
            return before.strip(), after.lstrip()
    return None, text


def _ends_a_thought(before: str, after: str) -> bool:
    return not _SPOKEN_OF.search(before) or _LINE_ENDS.match(after) is not None


def _channels(text: str) -> tuple[str | None, str]:
    """Read gpt-oss's channels: `final` is the answer, all others are thoughts."""
    thoughts: list[str] = []
    answers: list[str] = []
    for found in _CHANNEL.finditer(text):
        (answers if found["name"] == "final" else thoughts).append(found["text"].strip())
    return "\n".join(thoughts), "\n".join(answers)
