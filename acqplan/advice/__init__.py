"""Advice from captured images alone: learning curves, stop or go on, more views or more objects."""
