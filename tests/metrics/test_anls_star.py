"""Our ANLS* beside the package of the paper's authors, anls-star 1.0.1 (read in its source, anls_star/anls_star.py)."""

import itertools
import warnings
from collections.abc import Iterator

import pytest
from anls_star import anls_score
from hypothesis import assume, given
from hypothesis import strategies as st

from metrics.anls_star import anls_star, similarity
from metrics.registry import InvalidOptionError, create

from .cases import case, quick, score

TEXTS = st.sampled_from(["", "а", "аб", "абвг", "абхх", "Иванов", "иванов ", "7", "12,50"])
LEAVES = TEXTS | st.none()
# What is extracted from a document: values, an object in it, and rows that have the same columns.
ROWS = st.lists(st.fixed_dictionaries({"имя": TEXTS, "цена": TEXTS}), max_size=4)
ADDRESS = st.fixed_dictionaries({}, optional={"город": LEAVES})
DOCUMENTS = st.fixed_dictionaries(
    {}, optional={"номер": LEAVES, "адрес": ADDRESS, "позиции": ROWS, "теги": st.lists(TEXTS, max_size=3)}
)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=6,
)


def theirs(reference, answer) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where it takes a list of texts for a choice
        return anls_score(reference, answer)


def ours(reference, answer) -> float:
    """Return ours of values as they are, with the package's own reading of texts."""
    return anls_star([_read(reference)], _read(answer))


def _read(value):
    if isinstance(value, dict):
        return {key: _read(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_read(inner) for inner in value]
    return None if value is None else " ".join(str(value).strip().lower().split())


def orders(value) -> Iterator:
    """Yield a value with its lists in every order."""
    if isinstance(value, list):
        for order in itertools.permutations(value):
            yield from map(list, itertools.product(*map(list, map(orders, order))))
    elif isinstance(value, dict):
        for inner in itertools.product(*(list(orders(one)) for one in value.values())):
            yield dict(zip(value, inner, strict=True))
    else:
        yield value


@pytest.mark.parametrize(
    ("reference", "answer", "value"),
    [
        ({"a": "hello", "b": ["this", "is", "a", "test"]}, {"a": "hello!", "b": ["a", "test", "this", "be"]}, 0.7666),
        ({"a": "x"}, {"a": "x"}, 1),
        ({"a": "x"}, {}, 0),
        ({"a": "x"}, None, 0),
        ({"a": "x"}, {"a": "x", "b": "y"}, 1 / 2),
        ({"a": "x", "b": None}, {"a": "x"}, 1),
        ({"a": "x"}, {"a": "x", "b": None}, 1 / 2),  # a null under a key that is not wanted costs as much as a value
        ({"a": "абвг"}, {"a": "абхх"}, 1 / 2),  # exactly half
        ({"a": "абвг"}, {"a": "ахцч"}, 0),
        ([{"n": "1", "p": "5"}, {"n": "2", "p": "6"}, {"n": "3"}], [{"n": "3"}, {"n": "2", "p": "6"}], 3 / 5),
        ({"a": []}, {}, 0),
        ({"a": None}, {"a": []}, 1),
        ({"a": ["x"]}, {"a": "x"}, 0),
        ([], [], 1),
        ({"a": 5, "b": True}, {"a": "5", "b": "true"}, 1),
    ],
)  # fmt: skip
def test_fixed_cases_equal_the_package(reference, answer, value):
    assert theirs(reference, answer) == pytest.approx(value, abs=1e-3)
    assert ours(reference, answer) == pytest.approx(theirs(reference, answer), abs=1e-9)


@given(reference=DOCUMENTS, answer=DOCUMENTS)
@quick
def test_generated_documents_equal_the_package(reference, answer):
    assert ours(reference, answer) == pytest.approx(theirs(reference, answer), abs=1e-9)


@given(reference=ANYTHING, answer=ANYTHING)
@quick
def test_generated_values_equal_the_package_in_some_order_of_its_lists(reference, answer):
    """Where several pairings are equally good and their items differ in size, its value hangs on their order."""
    if isinstance(reference, list) and isinstance(answer, str):
        assume(not all(isinstance(item, str) for item in reference))  # it takes such a list for a choice
    mine = ours(reference, answer)
    if mine == pytest.approx(theirs(reference, answer), abs=1e-9):
        return
    pairs = itertools.product(itertools.islice(orders(reference), 40), itertools.islice(orders(answer), 40))
    assert any(mine == pytest.approx(theirs(one, other), abs=1e-9) for one, other in pairs)


@given(first=TEXTS, second=TEXTS)
@quick
def test_generated_texts_equal_the_package(first, second):
    assert ours(first, second) == pytest.approx(theirs(first, second), abs=1e-9)


def test_of_several_references_the_most_similar_counts():
    assert anls_star([{"a": "кот"}, {"a": "пёс"}], {"a": "пёс"}) == anls_score(
        ({"a": "кот"}, {"a": "пёс"}), {"a": "пёс"}
    )


@pytest.mark.parametrize(
    ("metric", "answer", "reference", "name"),
    [("anls", "абхх", "абвг", "anls"), ("kie", '{"a": "абхх"}', '{"a": "абвг"}', "kie_anls")],
)
def test_a_distance_of_exactly_one_half_is_0_in_the_paper_and_a_half_in_the_script(metric, answer, reference, name):
    one = case(answer, reference)
    values = {said: score(metric, one, {"at_threshold": said})[name].value for said in ("paper", "docvqa")}
    assert values == {"paper": 0, "docvqa": 0.5}
    assert score(metric, one)[name].value == values["paper" if metric == "anls" else "docvqa"]
    below = score(metric, case(answer.replace("абхх", "абвх"), reference), {"at_threshold": "paper"})
    assert below[name].value == 0.75


def test_the_setting_is_part_of_the_version_and_others_are_refused():
    assert create("anls").version == "2 NFC+invisible+lower+collapse_whitespace+strip threshold=0.5"
    assert create("anls", {"at_threshold": "docvqa"}).version.endswith("threshold=0.5 at_threshold=docvqa")
    assert create("kie", {"at_threshold": "paper"}).version != create("kie").version
    for metric in ("anls", "kie"):
        with pytest.raises(InvalidOptionError, match="at_threshold is 'half'; valid: paper, docvqa"):
            create(metric, {"at_threshold": "half"})


def test_similarity_of_other_thresholds():
    assert similarity("абвг", "абвх", 0.25, "paper") == 0
    assert similarity("абвг", "абвх", 0.25, "docvqa") == similarity("абвг", "абвх", 0.3, "paper") == 0.75
