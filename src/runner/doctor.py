"""`python -m runner.doctor`: looks at this machine: GPUs, disks, environments, images.

A door: runner/commands.py says which module does the work.
"""

from runner.commands import run

if __name__ == "__main__":
    raise SystemExit(run("doctor"))
