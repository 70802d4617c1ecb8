"""How the embedded toys are shaped: one file a category."""
