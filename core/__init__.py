"""Errors with exit codes, recipe types, progress and digests. Imports nothing of ours and no torch."""
