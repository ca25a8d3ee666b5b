"""Two or more finished jobs side by side: what was set differently, what came out differently, and how sure that is.

jobs.py             finished jobs by folder, sweep or MLflow run, and which is compared with which
verdicts.py         paired tests by measure
config_difference.py, metric_difference.py, changed_samples.py    what differs
gates.py            `--fail-if`
command.py          python -m runner.compare A B
"""
