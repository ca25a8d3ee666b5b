"""Parity: whether the backends of a sweep saw the same input, and whether their answers agree."""
