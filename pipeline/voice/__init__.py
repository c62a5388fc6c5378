"""A voice folder: its settings, its list of recordings, its script."""
