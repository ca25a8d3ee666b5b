r"""Separates the reasoning of a thinking model from its answer, by one rule for all models. Standard library only.

    "<think>Вижу паспорт.</think>\n\nИванов"   ->  ("Вижу паспорт.", "Иванов")
    "Вижу паспорт.</think>\n\nИванов"          ->  the same: the chat template contained the opening mark
    "<think>Вижу паспорт, поле"                ->  ("Вижу паспорт, поле", ""): the text was cut before the answer

If an engine separates the reasoning itself (by a reasoning parser, as does our HF server), its result is used. A mark
further back in the text belongs to the answer, because a document may contain it.
"""

from __future__ import annotations

import re

# The marks of published models, from the reasoning parsers of vLLM and SGLang.
_PAIRS = (
    ("<think>", "</think>"),  # DeepSeek-R1, Qwen3, GLM, MiniMax, Phi-4-reasoning, Hunyuan, ERNIE
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),  # EXAONE Deep; Gemini behind its OpenAI endpoint
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),  # Seed-OSS
    ("[THINK]", "[/THINK]"),  # Magistral
    ("◁think▷", "◁/think▷"),  # Kimi-VL
)
# The chat template may contain the opening mark of these, so that the text has only the closing mark.
_OPENED_BY_TEMPLATE = ("</think>", "</seed:think>", "[/THINK]", "◁/think▷")
# A mark that a sentence mentions follows a space, a quote or a bracket, and the line continues after it.
_MENTIONED = re.compile(r"[ \t\"'`«“(]$")
_LINE_ENDS = re.compile(r"[ \t]*(?:[\r\n]|$)")
# gpt-oss (OpenAI's harmony format), if the engine doesn't parse it: <|channel|>NAME<|message|>TEXT<|end|> ...
_HARMONY = re.compile(r"\s*(?:<\|start\|>assistant)?<\|channel\|>")
_CHANNEL = re.compile(
    r"(?:<\|start\|>assistant)?<\|channel\|>\s*(?P<name>\w+)[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>"
    r"(?P<text>.*?)(?:<\|end\|>|<\|return\|>|<\|call\|>|(?=<\|start\|>|<\|channel\|>)|\Z)",
    re.DOTALL,
)


def split(text: str) -> tuple[str | None, str]:
    """Return reasoning and answer. The reasoning is None if the text has none; then the answer is the whole text."""
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
    return not _MENTIONED.search(before) or _LINE_ENDS.match(after) is not None


def _channels(text: str) -> tuple[str | None, str]:
    """Return reasoning and answer of gpt-oss's channels: `final` is the answer, all others are reasoning."""
    thoughts: list[str] = []
    answers: list[str] = []
    for channel in _CHANNEL.finditer(text):
        (answers if channel["name"] == "final" else thoughts).append(channel["text"].strip())
    return "\n".join(thoughts), "\n".join(answers)
