"""`python -m runner.memory_profile`: how the memory of a sweep's jobs grows with their load.

A door: runner/commands.py says which module does the work.
"""

from runner.commands import run

if __name__ == "__main__":
    raise SystemExit(run("memory_profile"))
