from __future__ import annotations

import pytest

from backends.reasoning import apart, split


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
        ("\ufeff<Think>Вижу</Think>Иванов", "Вижу", "Иванов"),
        ("<think>Вижу</think>\n<think>Ещё раз</think>\nИванов", "Вижу\nЕщё раз", "Иванов"),
        ("<|START_THINKING|>Вижу<|END_THINKING|><|START_RESPONSE|>Иванов<|END_RESPONSE|>", "Вижу", "Иванов"),
        ("<|channel>thought\nВижу\n<channel|>Иванов", "Вижу", "Иванов"),
        ("<|begin_of_thought|>Вижу<|end_of_thought|>\n<|begin_of_solution|>Иванов", "Вижу", "Иванов"),
        ("<analysis>Вижу</analysis>Иванов", "Вижу", "Иванов"),
        ("<think>Вижу</think><answer>Иванов</answer>", "Вижу", "Иванов"),
        ("<think>Вижу</think><answer>Ива", "Вижу", "Ива"),  # cut off
        ("<think>Вижу</think><answer>Иванов</answer> Иван", "Вижу", "<answer>Иванов</answer> Иван"),
        ("<think>Вижу</think>Это <|begin_of_box|>Иванов<|end_of_box|>", "Вижу", "Это Иванов"),
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


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("Иванов", "Вижу", "Иванов"),
        ("\n</think>\n\nИванов", "Вижу", "Иванов"),
        ("<think>Вижу</think>Иванов", "Вижу", "Иванов"),
        ("<think>Ещё раз</think>Иванов", "Вижу\nЕщё раз", "Иванов"),
        ("<answer>Иванов</answer>", "Вижу", "Иванов"),
        ("Тег </think> закрывает", "Вижу", "Тег </think> закрывает"),
    ],
)
def test_of_reasoning_that_was_sent_apart_nothing_is_left_in_the_answer(text: str, thought: str, answer: str) -> None:
    assert apart("Вижу", text) == (thought, answer)
