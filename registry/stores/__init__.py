"""Stores behind the five verbs of registry/store.py that are not a local folder.

Each imports its client library, an extra of this package; store_at.py imports a store when an address names one.
"""

from timbre.core.telemetry import switch_off_telemetry

# Here, because the Hub's client reads its switch when it is imported, after this line.
switch_off_telemetry()
