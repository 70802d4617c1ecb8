"""The command line; each command loads what it needs when it is called."""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""
