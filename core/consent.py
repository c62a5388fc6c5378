"""Kinds of consent: what a voice.yaml may claim and an operator's policy may allow."""

from __future__ import annotations

CONSENT_KINDS = ("recorded", "synthetic", "public-domain", "licensed")
"""recorded: the speaker agreed, in their own voice; synthetic: no person; public-domain; licensed: published under a
licence that allows this."""
