"""Evaluation: predict, score, report."""
