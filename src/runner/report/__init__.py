"""Compares jobs: a table for the terminal, a page for the browser. `python -m runner.report SWEEP_DIR`."""
