"""`python -m runner.export`: writes the answers and figures of jobs as files for people.

A door: runner/commands.py says which module does the work.
"""

from runner.commands import run

if __name__ == "__main__":
    raise SystemExit(run("export"))
