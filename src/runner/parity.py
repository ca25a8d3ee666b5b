"""`python -m runner.parity`: whether the backends of a sweep saw the same input and gave the same answers.

A door: runner/commands.py says which module does the work.
"""

from runner.commands import run

if __name__ == "__main__":
    raise SystemExit(run("parity"))
