"""`python -m runner.reading`: how much of a score comes from reading the page.

A door: runner/commands.py says which module does the work.
"""

from runner.commands import run

if __name__ == "__main__":
    raise SystemExit(run("reading"))
