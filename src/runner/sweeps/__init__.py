"""Runs the jobs of a command: one, or a sweep in the order that starts the fewest engines."""
