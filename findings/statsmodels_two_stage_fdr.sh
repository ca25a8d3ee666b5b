#!/bin/sh
# What the two-stage corrections for many tests of statsmodels 0.15.0 (PyPI) make of a comparison that isn't significant
# by itself: four models against a baseline, with p = 0.001, 0.002, 0.003 and 0.06, at a level of 0.05.
#
# Guess, written down before it was run: 0.06 stays above 0.05; a correction for many tests can't make significant what is
# not so without it.
# Seen: it does. fdr_tsbh makes it 0.015, fdr_tsbky 0.016 and fdr_gbs 0.016, all significant; with 0.08 as well.
# These estimate how many of the hypotheses are true, and correct for that number alone (Benjamini, Krieger & Yekutieli 2006; Gavrilov,
# Benjamini & Sarkar 2009): where three of four are rejected, the fourth pays for one and gains from its rank. This holds the share of
# false discoveries, and no more. fdr_bh, which gives 0.06, and Holm never go below the raw p.
# So the fourth model is better only because three others are. Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "statsmodels==0.15.0"
"$folder/venv/bin/python" - <<'PYTHON'
from statsmodels.stats.multitest import multipletests

found = {}
for method in ("holm", "fdr_bh", "fdr_tsbh", "fdr_tsbky", "fdr_gbs"):
    reject, adjusted = multipletests([0.001, 0.002, 0.003, 0.06], 0.05, method)[:2]
    found[method] = (bool(reject[3]), round(float(adjusted[3]), 4))
    print(f"statsmodels 0.15.0, {method}: 0.06 becomes {adjusted[3]:.4f}, {'significant' if reject[3] else 'not significant'}")
assert found["holm"] == found["fdr_bh"] == (False, 0.06), found
assert found["fdr_tsbh"] == (True, 0.015) and found["fdr_tsbky"] == (True, 0.0158) and found["fdr_gbs"] == (True, 0.016), found
PYTHON
echo "as described"
