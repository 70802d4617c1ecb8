"""Evaluation: splits, replay, tests and verdicts."""
