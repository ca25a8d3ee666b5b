"""`python -m runner.report`: one page that compares the jobs of a sweep.

A door: runner/commands.py says which module does the work.
"""

from runner.commands import run

if __name__ == "__main__":
    raise SystemExit(run("report"))
