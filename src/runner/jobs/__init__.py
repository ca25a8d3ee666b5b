"""A job's folder: what it holds, how it is written and found, and its upload to MLflow."""
