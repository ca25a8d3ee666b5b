"""`python -m runner.published`: published figures beside one's own.

A door: runner/commands.py says which module does the work.
"""

from runner.commands import run

if __name__ == "__main__":
    raise SystemExit(run("published"))
