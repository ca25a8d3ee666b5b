"""`python -m runner.select_prompts`: chooses the best prompt for each field from a sweep over prompts.

A door: runner/commands.py says which module does the work.
"""

from runner.commands import run

if __name__ == "__main__":
    raise SystemExit(run("select_prompts"))
