"""The ask/tell loop over HTTP, and the live page."""
