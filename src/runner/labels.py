"""`python -m runner.labels`: takes back the labels that people wrote into an export.

A door: runner/commands.py says which module does the work.
"""

from runner.commands import run

if __name__ == "__main__":
    raise SystemExit(run("labels"))
