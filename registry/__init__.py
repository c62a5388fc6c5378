"""Voice packages: stores, versions, aliases, history, audit. No torch."""
