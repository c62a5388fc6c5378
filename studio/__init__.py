"""Timbre Studio: a page in the browser where a person records a voice, sees whether it is good, and pushes it."""
