"""Compares finished jobs: which settings differ, which results differ, and whether the difference is significant.

jobs.py             finds finished jobs by folder, sweep or MLflow run, and pairs them
paired_tests.py     paired tests by measure
config_difference.py, metric_difference.py, changed_samples.py    what differs
gates.py            `--fail-if`
command.py          python -m runner.compare A B
"""
