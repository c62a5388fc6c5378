"""Base models on this machine: sources, downloads, checks, exported graphs."""
