#!/bin/sh
# What the paired tests of sacrebleu 2.6.0 (PyPI), approximate randomisation (--paired-ar) and bootstrap (--paired-bs), say of
# two systems with the same 20 answers, and of two that differ in one to three of them.
#
# Guess, written down before it was run: p = 1 by both for equal answers; near 1 by randomisation where one answer differs.
# The test's paper (Riezler & Maxwell 2005) counts the shuffles whose difference is equal or greater, and with one
# different answer each shuffle has the same difference as the data. The exact p is 1, and 0.5 and 0.25 for two and three.
# Seen: 0.001, the least that 1,000 samples can give, in all four cases by randomisation, and for equal answers by bootstrap too.
# sacrebleu counts what is greater alone, so no tie, and then adds one. At its level of 0.05 it marks each as significant.
# So two runs of an engine that agree word for word differ significantly, and so does a change that rests on one answer. In tests of
# many different answers ties are rare, and p is right. Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "sacrebleu==2.6.0" "numpy==2.4.6"
"$folder/venv/bin/python" - <<'PYTHON'
import logging

from sacrebleu.metrics import BLEU
from sacrebleu.significance import PairedTest

logging.getLogger("sacrebleu").setLevel(logging.ERROR)
references = [f"слово{n} дом на горе {n} стоит" for n in range(20)]
base = [text.replace("стоит", "был") if n % 2 else text for n, text in enumerate(references)]
found = {}
for different in (0, 1, 2, 3):
    other = list(base)
    for n in range(different):
        other[2 * n + 1] = references[2 * n + 1]
    for kind in ("ar", "bs"):
        metrics = {"BLEU": BLEU(references=[references])}
        test = PairedTest([("base", base), ("other", other)], metrics, references=None, test_type=kind, n_samples=1000)
        one, two = test()[1]["BLEU"]
        found[kind, different] = two.p_value
        print(f"sacrebleu 2.6.0, {different} of 20 answers differ, {kind}: BLEU {one.score:.2f}, {two.score:.2f}, p {two.p_value:.4f}")
least = 1 / 1001
assert all(abs(found["ar", different] - least) < 1e-9 for different in (0, 1, 2, 3)), found
assert abs(found["bs", 0] - least) < 1e-9 and found["bs", 1] > 0.1, found
PYTHON
echo "as described"
