"""Heads: linear classifiers on features."""
