"""`python -m runner.compare`: holds finished jobs against each other.

A door: runner/commands.py says which module does the work.
"""

from runner.commands import run

if __name__ == "__main__":
    raise SystemExit(run("compare"))
