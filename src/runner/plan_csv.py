"""`python -m runner.plan_csv`: turns a VLMHyperBench plan into our commands.

A door: runner/commands.py says which module does the work.
"""

from runner.commands import run

if __name__ == "__main__":
    raise SystemExit(run("plan_csv"))
