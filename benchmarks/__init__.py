"""What the package is measured with, and the workshop of what it ships; run from the repository root."""
