"""Encryption of what holds a person's speech or voice: envelope keys, sealed files. No torch."""
