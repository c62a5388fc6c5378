"""Names that several steps of english_contexts.py share."""

from __future__ import annotations

from typing import Final

COUNTRY_STREETS: Final = (
    "St|Ave|Blvd|Rd|Ln|Dr|Pl|Ct|Sq|Pkwy|Ter|Street|Avenue|Boulevard|Road|Lane|Drive|Place|Court|Square|Way|Terrace|Row"
)
COMPASS: Final = {
    "N": "North", "S": "South", "E": "East", "W": "West", "NW": "Northwest", "NE": "Northeast", "SW": "Southwest",
    "SE": "Southeast",
}  # fmt: skip


def spelled(parts: list[str]) -> str:
    """Letters of each part in capitals and apart, numbers as they are."""
    return " ".join(" ".join(part.upper()) if part.isalpha() else part for part in parts)
