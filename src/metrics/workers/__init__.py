"""The tasks that run in the process of `metrics.worker`. Only they import torch."""
