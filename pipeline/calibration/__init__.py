"""Gate limits: measure good adapters and degraded ones of them."""
