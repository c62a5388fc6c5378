"""Text to phonemes, for every language. No torch."""
