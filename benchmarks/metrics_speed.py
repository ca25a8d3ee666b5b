"""How fast are the text metrics? Prints CPU seconds for 100,000 answers with intervals, and ratios to the libraries.

    python benchmarks/metrics_speed.py [--answers 100000] [--documents 10000] [--sample 5000]

Everything runs on one core. jiwer, sacrebleu and rouge-score are called once per answer, as the original evaluation
did, on `--sample` of the same answers, three times in turns with ours; ratios (medians) above 1 mean that we are
faster. ROUGE runs on texts of 250 words, too, for which rouge-score's own longest common subsequence is slow. Ends with
1 where 100,000 answers with intervals take more than 20 s, or a metric is slower than its library. chrF and ROUGE let
their library count, so that they may be as fast as it, or a little slower for the statistics around it. `kie` reads and
compares invoices of about 3 kB with anls-star, which yields one of its twelve measures. `page` reads and compares pages
of 2,600 characters with a table of 20 rows, beside TEDS of those tables alone by docling-metrics-table: its TEDScorer,
which gives the same values and is in Python, and its C++ with and without the texts, which counts a misread letter as a
wrong cell.
"""

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable

import jiwer
import sacrebleu
from anls_star import anls_score
from parts.limits import Limit, tell
from rouge_score.rouge_scorer import RougeScorer

from metrics.aggregate import aggregate, metric_values
from metrics.api import Case
from metrics.registry import create
from metrics.tokens import Tokenizer

TOGETHER_S, ANSWERS = 20.0, 100_000
# Times as fast as the library; 1 for the others.
AT_LEAST = {"rouge": 0.5, "rouge, 250 words": 5.0, "kie": 2.0, "page": 2.0, "page, C++": 2.0}
SURNAMES = ("Иванов", "Петрова", "Осипов", "Кузнецова", "Соловьёв", "Голубева")
PLACES = ("гор. Севастополь", "г. Санкт-Петербург", "дер. Малые Вяземы Одинцовского р-на", "пос. Октябрьский")


def make_cases(answers: int, documents: int, seed: int = 0) -> list[Case]:
    """Return cases of two classes and five fields; a third of the answers has misread letters, 1% failed."""
    generator = random.Random(seed)
    cases = []
    for number in range(answers):
        document = number % documents
        date = f"{generator.randint(1, 28):02}.{generator.randint(1, 12):02}.2010"
        truth = f"{generator.choice(SURNAMES)} {generator.choice(PLACES)}, {date}"
        answer: str | None = truth
        if generator.random() < 1 / 3:
            place = generator.randrange(len(truth))
            answer = truth[:place] + generator.choice("абв 019") + truth[place + 1 :]
        if generator.random() < 0.01:
            answer = None
        cases.append(
            Case(
                sample_id=str(number),
                document=f"{document}.jpg",
                prediction=answer,
                references=(truth,),
                doc_class=("паспорт", "снилс")[document % 2],
                field=f"поле {number // documents % 5}",
            )
        )
    return cases


def long_cases(cases: list[Case], number: int, words: int = 250, seed: int = 0) -> list[Case]:
    """Return cases whose answers and references are pages of text: those of `cases` one after the other."""
    generator, pages = random.Random(seed), []
    answered = [case for case in cases if case.prediction is not None]
    for page in range(number):
        lines = generator.sample(answered, words // 6)
        answer, truth = (
            " ".join(texts) for texts in zip(*((c.prediction, c.references[0]) for c in lines), strict=True)
        )
        pages.append(Case(sample_id=f"page {page}", document=f"{page}.jpg", prediction=answer, references=(truth,)))
    return pages


def invoices(number: int, seed: int = 0, rows: tuple[int, int] = (5, 25)) -> list[Case]:
    """Return invoices as JSON with `rows` items; of two in three one was dropped, they were shuffled, or misread."""
    generator, made = random.Random(seed), []
    for row in range(number):
        truth = {
            "номер": f"СФ-{generator.randint(1, 9999)}",
            "поставщик": {"имя": f"ООО {generator.choice(SURNAMES)}", "инн": str(generator.randint(10**9, 10**10))},
            "скидка": None,
            "позиции": [
                {
                    "имя": f"{generator.choice(PLACES)}, {generator.choice(SURNAMES)} {generator.randint(1, 99)}",
                    "шт": str(generator.randint(1, 99)),
                    "цена": f"{generator.randint(1, 999)},{generator.randint(10, 99)}",
                    "сумма": f"{generator.randint(1, 99_999)}.00",
                }
                for _ in range(generator.randint(*rows))
            ],
        }
        answer = json.loads(json.dumps(truth))
        if row % 3:
            answer["позиции"].pop(generator.randrange(len(answer["позиции"])))
            for item in answer["позиции"]:
                item["имя"] = item["имя"].replace("о", generator.choice("оо0"))
            if row % 2:
                generator.shuffle(answer["позиции"])
        texts = [json.dumps(one, ensure_ascii=False) for one in (answer, truth)]
        made.append(Case(sample_id=f"{row}", document=f"{row}", prediction=texts[0], references=(texts[1],)))
    return made


def pages_of_text(number: int, seed: int = 0) -> list[tuple[Case, tuple[str, str]]]:
    """Return pages with a table, and their tables; of two in three letters were misread, a row or an order changed."""
    generator, made = random.Random(seed), []
    for row in range(number):
        texts = [" ".join(generator.choices((*SURNAMES, *PLACES), k=6)) for _ in range(9)]
        rows = [
            [generator.choice(PLACES), str(generator.randint(1, 99)), f"{generator.randint(1, 9999)},50", "шт", "20%"]
            for _ in range(20)
        ]
        wrong, read = rows, texts
        if row % 3:
            wrong = [[cell.replace("о", generator.choice("оо0")) for cell in cells] for cells in rows]
            read = [text.replace("е", generator.choice("еес")) for text in texts]
        if row % 3 == 2:
            wrong.pop(generator.randrange(20))
            read[2], read[5] = read[5], read[2]
        tables = [_html(wrong), _html(rows)]
        page, truth = (
            "\n\n".join((*part[:5], table, *part[5:])) for part, table in zip((read, texts), tables, strict=True)
        )
        made.append((Case(sample_id=f"{row}", document=f"{row}", prediction=page, references=(truth,)), tuple(tables)))
    return made


def _html(rows: list[list[str]]) -> str:
    cells = ("".join(f"<td>{cell}</td>" for cell in row) for row in rows)
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>"


def docling_teds(tables: list[tuple[str, str]], *, in_python: bool, structure: bool = False) -> None:
    """Compute TEDS of pairs of tables by docling-metrics-table; in C++, or if asked, without their texts as well."""
    from docling_metrics_table import TableMetric, TableMetricHTMLInputSample
    from docling_metrics_table.docling_metrics_table import TableMetricKind
    from docling_metrics_table.utils.teds import TEDScorer
    from lxml import html

    metric, scorer = TableMetric(metrics=[TableMetricKind.TEDS]), TEDScorer()
    for one, other in tables:
        if in_python:
            for without_texts in (False, True)[: 1 + structure]:
                scorer.teds(html.fromstring(other), html.fromstring(one), structure_only=without_texts)
            continue
        for without_texts in (False, True):
            sample = TableMetricHTMLInputSample(id="a", html_a=one, html_b=other, structure_only=without_texts)
            metric.evaluate_sample(sample)


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU time that some work takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> int:
    """Measure and print; return 1 where something is too slow."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=ANSWERS)
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--sample", type=int, default=5_000)
    options = parser.parse_args()

    cases = make_cases(options.answers, options.documents)
    metrics = [create(name) for name in ("exact_match", "cer", "wer", "anls")]
    scores, total = [], 0.0
    print(f"{options.answers} answers on {options.documents} documents, CPU seconds on one core")
    for metric in metrics:
        took = cpu_seconds(lambda metric=metric: scores.extend(metric.score(cases)))
        total += took
        print(f"  {metric.measures[0].name:12} {took:6.2f}")
    figures: dict[str, float] = {}
    took = cpu_seconds(lambda: figures.update(metric_values(aggregate(cases, scores, metrics))))
    print(f"  {'intervals':12} {took:6.2f}  ({len(figures)} figures)\n  {'together':12} {total + took:6.2f}")

    allowed = TOGETHER_S * options.answers / ANSWERS
    limits = [Limit(f"CPU seconds to score {options.answers:,} answers", total + took, "<=", allowed)]
    sample = [case for case in cases[: options.sample] if case.prediction is not None]
    pairs = [(case.references[0], case.prediction) for case in sample]
    pages, documents = long_cases(cases, 50), invoices(30)
    values = [(json.loads(case.references[0]), json.loads(str(case.prediction))) for case in documents]
    read = pages_of_text(30)
    of_tables = [tables for _, tables in read]
    page_pairs = [(case.references[0], case.prediction) for case in pages]
    # The same tokens for both; their cut is remembered for both, so that only the scoring differs.
    rouge = RougeScorer(["rouge1", "rouge2", "rougeL"], tokenizer=Tokenizer("words", "russian", None))
    print(f"ratio to the library in a loop, {len(pairs)} answers")
    for name, library in (
        ("cer", lambda: [jiwer.cer(truth, answer) for truth, answer in pairs]),
        ("wer", lambda: [jiwer.wer(truth, answer) for truth, answer in pairs]),
        ("bleu", lambda: [sacrebleu.sentence_bleu(answer, [truth]) for truth, answer in pairs]),
        ("chrf", lambda: [sacrebleu.sentence_chrf(answer, [truth]) for truth, answer in pairs]),
        ("rouge", lambda: [rouge.score(truth, answer) for truth, answer in pairs]),
        ("kie", lambda: [anls_score(truth, answer) for truth, answer in values]),
        ("page", lambda: docling_teds(of_tables[:3], in_python=True)),
        ("page, C++", lambda: docling_teds(of_tables, in_python=False)),
        ("rouge, 250 words", lambda: [rouge.score(truth, answer) for truth, answer in page_pairs]),
    ):
        metric = create(name.partition(",")[0])
        asked = {
            "rouge, 250 words": pages, "kie": documents, "page, C++": [case for case, _ in read],
            "page": [case for case, _ in read[:3]],
        }.get(name, sample)  # fmt: skip
        list(metric.score(asked[:1]))  # imports its library
        turns = [
            (cpu_seconds(library), cpu_seconds(lambda metric=metric, asked=asked: list(metric.score(asked))))
            for _ in range(3)
        ]
        ratio = statistics.median(theirs / own for theirs, own in turns)
        print(f"  {name:16} {ratio:6.2f}")
        limits.append(Limit(f"times as fast as its library in a loop: {name}", ratio, ">=", AT_LEAST.get(name, 1.0)))
    return tell(limits)


if __name__ == "__main__":
    sys.exit(main())
