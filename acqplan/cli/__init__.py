"""The command line: one file a command."""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""
