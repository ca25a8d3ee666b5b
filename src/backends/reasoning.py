r"""Separates the reasoning of a thinking model from its answer, by one rule for all models. Standard library only.

    "<think>Вижу паспорт.</think>\n\nИванов"   ->  ("Вижу паспорт.", "Иванов")
    "Вижу паспорт.</think>\n\nИванов"          ->  the same: the chat template contained the opening mark
    "<think>Вижу паспорт, поле"                ->  ("Вижу паспорт, поле", ""): the text was cut before the answer

If an engine separates the reasoning itself (by a reasoning parser, as does our HF server), its result is used. A mark
further back in the text belongs to the answer, because a document may contain it.
"""

from __future__ import annotations

import functools
import re

_BLANK = " \t\r\n\ufeff"
# The marks of published models, from the reasoning parsers of vLLM and SGLang.
_PAIRS = (
    ("<think>", "</think>"),  # DeepSeek-R1, Qwen3, GLM, MiniMax, Phi-4-reasoning, Hunyuan, ERNIE
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),  # EXAONE Deep; Gemini behind its OpenAI endpoint
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),  # Seed-OSS
    ("[THINK]", "[/THINK]"),  # Magistral
    ("◁think▷", "◁/think▷"),  # Kimi-VL
    ("<mm:think>", "</mm:think>"),  # MiniMax-M3
    ("<|START_THINKING|>", "<|END_THINKING|>"),  # Cohere
    ("<|channel>thought", "<channel|>"),  # Gemma 4
    ("<|begin_of_thought|>", "<|end_of_thought|>"),  # OpenThinker, Sky-T1
    ("<analysis>", "</analysis>"),  # Keye-VL
)
# The marks that such models put around the whole answer after their reasoning.
_AROUND_ANSWERS = (
    ("<answer>", "</answer>"),  # GLM-4.1V-Thinking, Hunyuan, Keye-VL
    ("<response>", "</response>"),  # ERNIE 4.5
    ("<|START_RESPONSE|>", "<|END_RESPONSE|>"),  # Cohere
    ("<|begin_of_solution|>", "<|end_of_solution|>"),  # OpenThinker, Sky-T1
)
# Tokens around the result of GLM-V, which no document contains. Servers leave them in the text.
_BOX = re.compile(r"<\|(?:begin|end)_of_box\|>")
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
    thoughts, answer = _leading_thoughts(text)
    if not thoughts:
        thoughts, answer = _unopened_thought(text)
    return ("\n".join(filter(None, thoughts)), _bare(answer)) if thoughts else (None, without_box(text))


def apart(thought: str, text: str) -> tuple[str, str]:
    """Return reasoning and answer of a text whose reasoning the engine has sent apart, as `thought`.

    Some servers leave the closing mark at the beginning of the text, or send the reasoning in the text once more.
    """
    answer = text.lstrip(_BLANK)
    closing = next((mark for _, end in _PAIRS if (mark := _of(end).match(answer))), None)
    again, answer = _leading_thoughts(answer[closing.end() :] if closing else answer)
    new = [one for one in again if one and one not in thought]
    return "\n".join([thought, *new]), _bare(answer)


def without_box(text: str) -> str:
    """Return a text without the tokens that GLM-V puts around its result."""
    return _BOX.sub("", text).strip() if "_of_box|>" in text else text


def _leading_thoughts(text: str) -> tuple[list[str], str]:
    """Return the thoughts that a text begins with, each between its marks, and what follows them."""
    thoughts: list[str] = []
    while pair := next((pair for pair in _PAIRS if _of(pair[0]).match(text.lstrip(_BLANK))), None):
        inner = text.lstrip(_BLANK)[len(pair[0]) :]
        end = _of(pair[1]).search(inner)
        thoughts.append((inner[: end.start()] if end else inner).strip())
        text = inner[end.end() :] if end else ""
    return thoughts, text


def _unopened_thought(text: str) -> tuple[list[str], str]:
    """Return the thought whose opening mark the chat template contained, further ones, and what follows them."""
    for start, end in _PAIRS:
        mark = _of(end).search(text) if end in _OPENED_BY_TEMPLATE else None
        if mark is None:
            continue
        before, after = text[: mark.start()], text[mark.end() :]
        if not _of(start).search(before) and _ends_a_thought(before, after):
            further, answer = _leading_thoughts(after)
            return [before.strip(), *further], answer
    return [], text


@functools.cache
def _of(mark: str) -> re.Pattern[str]:
    """Return the pattern of a mark. Some models write <Think>."""
    return re.compile(re.escape(mark), re.IGNORECASE)


def _bare(answer: str) -> str:
    """Return an answer that follows reasoning, without the marks around the whole of it."""
    answer = answer.lstrip()
    for start, end in _AROUND_ANSWERS:
        if not _of(start).match(answer):
            continue
        inner, _, after = _of(end).sub("\0", answer[len(start) :]).partition("\0")
        if not after.strip():  # the closing mark is missing where max_tokens cut the answer
            answer = inner.strip()
    return without_box(answer)


def _ends_a_thought(before: str, after: str) -> bool:
    return not _MENTIONED.search(before) or _LINE_ENDS.match(after) is not None


def _channels(text: str) -> tuple[str | None, str]:
    """Return reasoning and answer of gpt-oss's channels: `final` is the answer, all others are reasoning."""
    thoughts: list[str] = []
    answers: list[str] = []
    for channel in _CHANNEL.finditer(text):
        (answers if channel["name"] == "final" else thoughts).append(channel["text"].strip())
    return "\n".join(thoughts), "\n".join(answers)
