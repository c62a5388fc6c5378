"""Metrics: small pure functions over audio, phones and embeddings, each with the metadata that a reader of its value
needs.
"""
