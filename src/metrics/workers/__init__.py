"""What runs in the process of `metrics.worker`: the only place of this package where torch is imported."""
