"""Finished jobs as files for people and other programs.

workbooks.py       summary_test_stats.xlsx, auto_metrics_stats.xlsx, judgement_scores.xlsx
metric_tables.py   metrics_by_id.csv, metrics_by_field.csv, metrics_by_class.csv, metrics_general.csv
answer_lines.py    answers.jsonl
disagreements.py   disagreements.csv, which people review and runner.labels reads
cells.py           makes texts safe for the cells of a spreadsheet
command.py         python -m runner.export SWEEP_DIR --to DIR
"""
