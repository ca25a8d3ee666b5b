"""Finished jobs as files for people and other programs.

workbooks.py       summary_test_stats.xlsx, auto_metrics_stats.xlsx, judgement_scores.xlsx
metric_tables.py   metrics_by_id.csv, metrics_by_field.csv, metrics_by_class.csv, metrics_general.csv
answer_lines.py    answers.jsonl
disagreements.py   disagreements.csv, to be reviewed by people (runner.labels reads it again)
cells.py           what a spreadsheet's cell can hold
command.py         python -m runner.export SWEEP_DIR --to DIR
"""
