from __future__ import annotations

import pytest

from backends.reasoning import split


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("<think>Вижу паспорт.</think>\n\nИванов", "Вижу паспорт.", "Иванов"),
        ("\n<think>\nВижу\n</think>\nИванов", "Вижу", "Иванов"),
        ("<think></think>Иванов", "", "Иванов"),
        ("<think>\n\n</think>\n\nИванов", "", "Иванов"),  # Qwen3 with thinking switched off
        ("Вижу паспорт.</think>\n\nИванов", "Вижу паспорт.", "Иванов"),  # the template had opened it
        ("Вижу</think>Иванов", "Вижу", "Иванов"),  # DeepSeek-V3.1 writes no line end
        ("Вижу паспорт.</think> Иванов", "Вижу паспорт.", "Иванов"),
        ("Вижу \n</think>\n\nИванов", "Вижу", "Иванов"),
        ("<think>Вижу паспорт, поле", "Вижу паспорт, поле", ""),  # cut off
        ("<thought>Вижу</thought>Иванов", "Вижу", "Иванов"),
        ("<thinking>Вижу</thinking>\nИванов", "Вижу", "Иванов"),
        ("<seed:think>Вижу</seed:think>Иванов", "Вижу", "Иванов"),
        ("[THINK]Вижу[/THINK]Иванов", "Вижу", "Иванов"),
        ("◁think▷Вижу◁/think▷Иванов", "Вижу", "Иванов"),
        ("<think>a</think>Текст <think>b</think> конец", "a", "Текст <think>b</think> конец"),
        (
            "<|channel|>analysis<|message|>Вижу<|end|><|start|>assistant<|channel|>final<|message|>Иванов<|return|>",
            "Вижу",
            "Иванов",
        ),
        ("<|channel|>analysis<|message|>Вижу пас", "Вижу пас", ""),
        ("<|channel|>final<|message|>Иванов", "", "Иванов"),
    ],
)
def test_a_thought_at_the_beginning_is_kept_apart(text: str, thought: str, answer: str) -> None:
    assert split(text) == (thought, answer)


@pytest.mark.parametrize(
    "text",
    [
        "Иванов",
        "",
        "Иванов <think>сомневаюсь</think>",
        "Тег <think> открывает мысль, </think> закрывает",
        "Модель пишет `</think>` в конце мысли",
        "Тег </think> закрывает мысль",
        "```xml\n<think>x</think>\n```",
        "<thinker>Иванов</thinker>",
        "a < b </thought>",
        "Символ <|channel|> в тексте",
    ],
)
def test_a_mark_further_back_belongs_to_the_answer(text: str) -> None:
    assert split(text) == (None, text)
