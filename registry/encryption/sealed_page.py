"""A report with sound as CI may keep it: encrypted with the voice's data key, in a file that says whose it is.

page -> JSON with voice, key of the stage and ciphertext -> page again, for who has the key
"""

from __future__ import annotations

import base64
import json

from timbre.core.errors import InputError
from timbre.registry.encryption.keyring import Keyring
from timbre.registry.encryption.sealed_file import Place

FILE = "report.sealed.json"
_PATH = "report.html"


def seal_page(keys: Keyring, voice: str, stage_key: str, page: str) -> str:
    """The content of FILE."""
    data = keys.seal(Place(voice, stage_key, _PATH), page.encode())
    return json.dumps({"voice": voice, "stage_key": stage_key, "sealed": base64.b64encode(data).decode()}) + "\n"


def open_page(keys: Keyring, text: str) -> str:
    """The page. Raises InputError for another kind of file, and what Keyring.open raises."""
    try:
        found = json.loads(text)
        place = Place(str(found["voice"]), str(found["stage_key"]), _PATH)
        data = base64.b64decode(found["sealed"], validate=True)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"no sealed report ({error!r})", f"name a {FILE} that CI kept") from error
    return keys.open(place, data).decode()
