"""How answers are scored. Knows neither `runner` nor `backends`; importing it imports no numpy.

`api` holds the contracts, `registry` makes metrics by name, `aggregate` sums their scores up. As a library:

>>> from metrics.aggregate import aggregate
>>> from metrics.api import Case
>>> from metrics.registry import create
>>> read = {"1.jpg": ("Иванов", "Иванов"), "2.jpg": ("Пётр", "Петр"), "3.jpg": (None, "12.03.2001")}
>>> cases = [
...     Case(sample_id=name, document=name, prediction=answer, references=(truth,))
...     for name, (answer, truth) in read.items()
... ]
>>> cer = create("cer", {"normalisation": {"case": "lower"}})
>>> corpus, mean = aggregate(cases, cer.score(cases), [cer])
>>> print(f"{corpus.measure} {corpus.value:.2f}, 95% from {corpus.ci_low:.2f} to {corpus.ci_high:.2f}")
cer 0.10, 95% from 0.00 to 0.88
>>> print(f"{corpus.n} scored on {corpus.n_documents} documents, {corpus.n_unscored} unscored")
2 scored on 2 documents, 1 unscored
"""
