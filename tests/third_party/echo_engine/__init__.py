"""A backend whose engine repeats the question, a metric, and a dataset reader."""
