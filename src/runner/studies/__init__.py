"""Questions that are asked of finished jobs: comparisons, tables, labels, profiles."""
