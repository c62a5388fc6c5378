"""The languages that voices speak: code -> English name. The text front end has a module for each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

LANGUAGES: Mapping[str, str] = MappingProxyType(
    {"zh": "Mandarin", "en": "English", "ja": "Japanese", "ko": "Korean", "yue": "Cantonese"}
)
