"""`python -m runner.resolution`: what a smaller picture costs in quality and saves in time and memory.

A door: runner/commands.py says which module does the work.
"""

from runner.commands import run

if __name__ == "__main__":
    raise SystemExit(run("resolution"))
