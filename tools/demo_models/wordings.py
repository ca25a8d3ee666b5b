"""The wordings that the demo models know: they are trained on these texts and on no others.

The shares differ on purpose, so that the choice of a prompt is a choice: the plain question is seen most often.
"""

import random

SYSTEM_TEXT = "Ты читаешь документы. Отвечай только значением поля."
SYSTEM_SHARE = 0.125
WORDING_SHARES = {"plain": 0.62, "questions": 0.26, "detailed": 0.12}

_QUESTIONS = {
    ("passport", "Номер"): "Какой номер у паспорта?",
    ("passport", "Фамилия"): "Какая фамилия указана в документе?",
    ("passport", "Имя"): "Какое имя указано в документе?",
    ("passport", "Дата рождения"): "Когда родился владелец документа?",
    ("invoice", "Номер"): "Какой номер у счёта?",
    ("invoice", "Дата"): "Когда выставлен счёт?",
    ("invoice", "ИНН"): "Какой ИНН указан в документе?",
    ("invoice", "Сумма"): "Какая сумма указана в документе?",
}
_EXAMPLES = {
    ("passport", "Номер"): "123456",
    ("passport", "Фамилия"): "Иванов",
    ("passport", "Имя"): "Иван",
    ("passport", "Дата рождения"): "31.12.1999",
    ("invoice", "Номер"): "1234",
    ("invoice", "Дата"): "31.12.2020",
    ("invoice", "ИНН"): "1234567890",
    ("invoice", "Сумма"): "1000,00",
}


def ask(wording: str, doc_class: str, field: str) -> str:
    """Word the question for one field."""
    if wording == "plain":
        return f"Напиши {field}"
    if wording == "questions":
        return _QUESTIONS[doc_class, field]
    return f"Напиши {field}. Пример: {_EXAMPLES[doc_class, field]}."


def draw_short_wording(rng: random.Random) -> str:
    """Draw a wording among those without an example, in the proportion of their shares."""
    plain, questions = WORDING_SHARES["plain"], WORDING_SHARES["questions"]
    return "plain" if rng.random() < plain / (plain + questions) else "questions"


def known_words() -> list[str]:
    """List the words of all wordings as the tokenizer cuts them: a leading space belongs to its word."""
    texts = [SYSTEM_TEXT, "Напиши Номер Фамилия Имя Дата рождения ИНН Сумма", "Напиши Пример Иванов Иван"]
    texts += list(_QUESTIONS.values())
    words: dict[str, None] = {}
    for text in texts:
        for position, word in enumerate(text.split(" ")):
            bare = word.strip(".?:")
            words[bare if position == 0 else f" {bare}"] = None
    return list(words)
