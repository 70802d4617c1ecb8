"""Studies of the literature, and the trainers that only they use."""
