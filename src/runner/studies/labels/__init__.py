"""What people wrote into disagreements.csv: references for a dataset, or a check of the judge and of other measures.

table.py        reads and checks the file
references.py   a JSONL dataset with the references that people gave
agreement.py    how well a measure agrees with people
command.py      python -m runner.labels references|agreement FILE.csv JOB...
"""
