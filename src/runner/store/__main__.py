"""`python -m runner.store`: shows, checks and tidies the store of answers.

A door: runner/commands.py says which module does the work.
"""

from runner.commands import run

if __name__ == "__main__":
    raise SystemExit(run("store"))
