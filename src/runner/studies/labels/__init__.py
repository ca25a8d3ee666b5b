"""Uses the labels that people filled into disagreements.csv: as references, or to check a judge and other measures.

table.py        reads and checks the file
references.py   writes a JSONL dataset with the references that people gave
agreement.py    measures how well a measure agrees with people
command.py      python -m runner.labels references|agreement FILE.csv JOB...
"""
