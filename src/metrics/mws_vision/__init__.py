"""The scorers of MWS-Vision-Bench under their own names, for figures that stand beside its leaderboard.

Source: github.com/mts-ai/MWS-Vision-Bench at 6632d62 (2026-07-26), src/evaluation. What is scored, and what the
benchmark does with answers that can't be read, is reproduced; tests/metrics/mws_vision compares with the scores that
its code gave. Where the metrics of this project differ stands in docs/metrics.md.
"""
