"""Compare our networks with reference vectors."""
