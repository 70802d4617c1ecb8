"""Rigs: whatever can take shots."""
