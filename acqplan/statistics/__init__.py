"""Statistics: tests, intervals, power and curves, on plain arrays."""
