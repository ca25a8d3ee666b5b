"""Real answers of a model on a real document, against jiwer and sacrebleu called directly in the right order."""

import csv
import random
from collections import defaultdict
from pathlib import Path

import jiwer
import pytest
import sacrebleu

from metrics.aggregate import aggregate
from metrics.api import Case
from metrics.registry import create

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "snils"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"the seed data is not beside the repository: {FOLDER}")


def rows(pattern: str) -> list[dict[str, str]]:
    (path,) = FOLDER.glob(pattern)
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    """One case per question; an answer's id is the zero-based row of the annotation. Rows in another order."""
    answers = {int(row["id"]): row["model_answer"] for row in rows("*answers*.csv")}
    made = [
        Case(
            sample_id=str(number),
            document=row["data_index"],
            prediction=answers[number],
            references=(row["answer"],),
            doc_class=row["doc_class"],
            field=row["question_type"],
        )
        for number, row in enumerate(rows("*annotations.csv"))
    ]
    assert len(made) == len(answers) == 9
    random.Random(1).shuffle(made)
    return made


LIBRARIES = {
    "cer": lambda answers, truths: jiwer.cer(truths, answers),
    "wer": lambda answers, truths: jiwer.wer(truths, answers),
    "bleu": lambda answers, truths: sacrebleu.corpus_bleu(answers, [truths]).score,
}


@pytest.mark.parametrize("name", LIBRARIES)
def test_by_id_field_class_and_general(cases, name):
    metric = create(name)
    scores = list(metric.score(cases))
    groups = defaultdict(list)
    for one in cases:
        for group in ((None, None), (one.doc_class, None), (one.doc_class, one.field)):
            groups[group].append(one)
    figures = {(one.doc_class, one.field): one for one in aggregate(cases, scores, [metric]) if one.measure == name}
    assert set(figures) == set(groups)
    for group, members in groups.items():
        texts = [one.prediction for one in members], [one.references[0] for one in members]
        assert figures[group].value == pytest.approx(LIBRARIES[name](*texts))
        # One document says nothing about others.
        assert (figures[group].n, figures[group].n_documents, figures[group].ci_low) == (len(members), 1, None)
    by_id = {score.sample_id: score.value for score in scores if score.name == name}
    for one in cases:
        if name == "bleu":
            expected = sacrebleu.sentence_bleu(one.prediction, list(one.references)).score
        else:
            expected = LIBRARIES[name]([one.prediction], list(one.references))
        assert by_id[one.sample_id] == pytest.approx(expected)
