"""Names of voices: what Git, URLs, shells, file systems and the registry all carry.

Letters of any script, digits, `-` and `_`; beginning and ending with a letter or digit. Letters are lower case, for a
file system may not tell `Ada` from `ada`, and composed (NFC), for macOS stores them decomposed.
"""

from __future__ import annotations

import re
import unicodedata

LONGEST = 63
# Together with a version or an alias the name must fit into a file name of 255 bytes.
LONGEST_BYTES = 180
LIMIT = f"1 to {LONGEST} letters (lower case), digits, and inner `-` or `_`"
_FORM = re.compile(rf"[^\W_](?:[\w-]{{0,{LONGEST - 2}}}[^\W_])?")


def is_voice_name(name: str) -> bool:
    """Whether a voice may be called so."""
    return (
        len(name.encode("utf-8", "replace")) <= LONGEST_BYTES
        and _FORM.fullmatch(name) is not None
        and name == name.lower()
        and unicodedata.is_normalized("NFC", name)
    )


def near_voice_name(name: str) -> str:
    """The name that was probably meant: in lower case, composed, with `-` for what may not stand in it; "" for none."""
    plain = unicodedata.normalize("NFC", name).lower().strip()
    plain = re.sub(r"[^\w-]+", "-", "".join(c for c in plain if c.isprintable())).strip("-_")[:LONGEST].strip("-_")
    return plain if is_voice_name(plain) else ""


def voice_of_path(given: str) -> str:
    """The name of the voice that `given` writes as a path, as a shell completes it: `ada` of `voices/ada/`,
    `./voices/ada` and `ada/`, `ada@production` of `voices/ada@production`. Anything else comes back as it is.
    """
    parts = [part for part in given.split("/") if part != "."]
    while parts and not parts[-1]:
        parts.pop()
    if not parts or not is_voice_name(parts[-1].partition("@")[0]):
        return given
    return parts[-1] if len(parts) == 1 or parts[-2] == "voices" else given
