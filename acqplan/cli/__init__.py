"""The command line; each command loads what it needs when it is called."""

# Exit code after Ctrl-C, as shells have it.
INTERRUPTED = 130
