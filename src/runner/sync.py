"""`python -m runner.sync`: uploads job folders to MLflow that were not tracked when they were made.

A door: runner/commands.py says which module does the work.
"""

from runner.commands import run

if __name__ == "__main__":
    raise SystemExit(run("sync"))
