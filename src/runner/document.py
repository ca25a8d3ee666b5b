"""`python -m runner.document`: writes docs/models.md and docs/configuration.md.

A door: runner/commands.py says which module does the work.
"""

from runner.commands import run

if __name__ == "__main__":
    raise SystemExit(run("document"))
