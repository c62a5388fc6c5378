"""Reports of runs on this machine: a list, and a local address for it."""
