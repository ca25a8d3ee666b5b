"""What is printed on a demo document: two document classes with four fields each.

Every value belongs to exactly one split, decided by a hash of the value itself (`split_of`). So a value of the test
split never occurs in training, whatever the random seeds are, and anybody can check it without the training data.
"""

import hashlib
import random
from collections.abc import Callable

SPLITS = ("train", "dev", "test")
FIELDS = {
    "passport": ("Номер", "Фамилия", "Имя", "Дата рождения"),
    "invoice": ("Номер", "Дата", "ИНН", "Сумма"),
}
MAX_NAME_LENGTH = 12


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_SURNAME_STEMS = _words(
    "Иван Петр Сидор Смирн Кузнец Попов Василь Соколов Михайл Новик Федор Мороз Волк Алексе Лебед Семен Егор Павл "
    "Козл Степан Никола Орл Андре Макар Никит Захар Зайц Солов Борис Яковл Григор Роман Вороб Серге Кузьм Фрол "
    "Александр Дмитри Корол Гус Кисел Иль Максим Поляк Сорок Виноград Ковал Бел Медвед Антон Тарас Жук Баран Филип "
    "Комар Давыд Беля Герасим Богдан Осип Сид Матве Тит Марк Мирон Крыл Куликов Карп Влас Мельник Денис Гаврил "
    "Тихон Казак Афанас Данил Савель Тимофе Фом Чернов Абрам Март Ефим Федот Щерба Назар Калин Исае Черныш Быков "
    "Масл Родион Лазар Горбун Шуб Цветк Юдин Хохл Эрнест Ульян"
)
_SURNAME_ENDINGS = _words("ов ев ин ский енко ова ева ина ская ых ко ук")
FIRST_NAMES = _words(
    "Александр Алексей Анатолий Андрей Антон Аркадий Арсений Артём Богдан Борис Вадим Валентин Валерий Василий "
    "Виктор Виталий Владимир Владислав Вячеслав Геннадий Георгий Глеб Григорий Даниил Денис Дмитрий Евгений Егор "
    "Ефим Захар Иван Игорь Илья Кирилл Константин Лев Леонид Макар Максим Марк Матвей Мирон Михаил Никита Николай "
    "Олег Павел Пётр Платон Родион Роман Руслан Савелий Семён Сергей Станислав Степан Тимофей Тимур Тихон Фёдор "
    "Филипп Эдуард Юрий Яков Ярослав Агата Алина Алла Анастасия Ангелина Анна Валентина Валерия Варвара Василиса "
    "Вера Вероника Виктория Галина Дарья Диана Евгения Екатерина Елена Елизавета Жанна Зинаида Злата Зоя Инна Ирина "
    "Кира Клавдия Кристина Ксения Лариса Лидия Любовь Людмила Маргарита Марина Мария Милана Надежда Наталья Нина "
    "Оксана Ольга Полина Раиса Светлана София Таисия Тамара Татьяна Ульяна Эльвира Юлия Яна"
)
SURNAMES = tuple(
    sorted({stem + end for stem in _SURNAME_STEMS for end in _SURNAME_ENDINGS if len(stem + end) <= MAX_NAME_LENGTH})
)
_VOWELS = "аеиоуыяю"
_CONSONANTS = "бвгджзклмнпрстфхцчшщ"


def split_of(value: str) -> str:
    """Name the split to which a value belongs: 20% test, 10% dev, the rest train."""
    bucket = hashlib.blake2s(value.encode()).digest()[0] % 10
    return "test" if bucket < 2 else "dev" if bucket == 2 else "train"


_NAMES = {
    (kind, split): tuple(name for name in names if split_of(name) == split)
    for kind, names in (("Фамилия", SURNAMES), ("Имя", FIRST_NAMES))
    for split in SPLITS
}


def draw_fields(rng: random.Random, split: str, doc_class: str, invented: float = 0.0) -> dict[str, str]:
    """Draw one document's values, all of them from the given split; `invented` is the share of invented names."""
    return {field: _draw(rng, split, doc_class, field, invented) for field in FIELDS[doc_class]}


def _draw(rng: random.Random, split: str, doc_class: str, field: str, invented: float) -> str:
    if field in ("Фамилия", "Имя"):
        if invented and rng.random() < invented:
            return _until(split, lambda: _pseudo_name(rng))
        return rng.choice(_NAMES[field, split])
    makers: dict[tuple[str, str], Callable[[], str]] = {
        ("passport", "Номер"): lambda: _digits(rng, 6),
        ("passport", "Дата рождения"): lambda: _date(rng, 1950, 2005),
        ("invoice", "Номер"): lambda: _digits(rng, rng.randint(4, 5)),
        ("invoice", "Дата"): lambda: _date(rng, 2018, 2026),
        ("invoice", "ИНН"): lambda: _digits(rng, 10),
        ("invoice", "Сумма"): lambda: _amount(rng),
    }
    return _until(split, makers[doc_class, field])


def _until(split: str, make: Callable[[], str]) -> str:
    """Repeat a draw until its value belongs to the split."""
    while split_of(value := make()) != split:
        pass
    return value


def _digits(rng: random.Random, count: int) -> str:
    return str(rng.randint(10 ** (count - 1), 10**count - 1))


def _date(rng: random.Random, first_year: int, last_year: int) -> str:
    return f"{rng.randint(1, 28):02d}.{rng.randint(1, 12):02d}.{rng.randint(first_year, last_year)}"


def _amount(rng: random.Random) -> str:
    roubles = _digits(rng, rng.randint(3, 6))
    return roubles if rng.random() < 0.5 else f"{roubles},{rng.randint(0, 99):02d}"


def _pseudo_name(rng: random.Random) -> str:
    vowel_next = rng.random() < 0.5
    letters = []
    for _ in range(rng.randint(3, 10)):
        letters.append(rng.choice(_VOWELS if vowel_next else _CONSONANTS))
        # Sometimes two vowels or two consonants meet, as in real words.
        vowel_next = not vowel_next if rng.random() < 0.85 else vowel_next
    return "".join(letters).capitalize()
