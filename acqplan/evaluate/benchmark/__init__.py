"""Benchmarks of strategies: strategies x budgets x seeds x object splits, paired by seed, resumable."""
