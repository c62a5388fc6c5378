"""Stores behind the five verbs of registry/store.py that are not a local folder. Their client libraries load lazily."""
