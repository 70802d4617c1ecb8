"""Plans: accepted choices, in order."""
