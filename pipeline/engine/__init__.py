"""Runs the stages of a voice: keys, outputs, locks, retries, records."""
