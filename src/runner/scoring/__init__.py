"""Scores stored answers: metrics, judges, and the scores of another program's answers."""
