"""Secrets taken out of text before anybody sees it: log lines, messages, alerts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MASK = "[redacted]"
# Shorter values would blank out ordinary words of a log.
_SHORTEST_SECRET = 6

_SECRET_NAME = re.compile(
    r"(token|secret|passw(or)?d|passphrase|credential|private|webhook|api_?key|access_?key|(^|_)auth($|_)|cookie|_key$)",
    re.I,
)
# Names that match the pattern above but whose values are paths or switches that a reader needs.
_HARMLESS_NAME = re.compile(r"(sock|_file$|_path$|_dir$|^xauthority$|disable)", re.I)

# "tokens" and "tokenizer" are words of our own trade.
# What stands before the word is kept in any case, and an unlimited repeat would make long lines take quadratic time.
_FIELD = r"(?:token(?![a-z])|secret|passw(?:or)?d|api[_-]?key|access[_-]?key|signature|credential)[\w.-]{0,80}"
_SECRET_FIELD = re.compile(_FIELD, re.I)
_PATTERNS = tuple(
    (re.compile(pattern, flags), replacement)
    for pattern, flags, replacement in (
        (r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S, MASK),
        (r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)", 0, MASK),
        (r"https://hooks\.slack\.com/\S+", re.I, f"https://hooks.slack.com/{MASK}"),
        (r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{6,}", re.I, rf"\1 {MASK}"),
        (r"\b(hf_|ghp_|gho_|ghs_|github_pat_|glpat-|xox[abprs]-|sk-)[A-Za-z0-9_-]{8,}", 0, MASK),
        (r"\b(AKIA|ASIA)[A-Z0-9]{16}\b", 0, MASK),
        (r"(?<![A-Za-z0-9_.-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*", 0, MASK),
        (rf"""({_FIELD}["']\s*:\s*)(["'])(?:\\.|(?!\2).)*\2""", re.I, rf"\1\2{MASK}\2"),
        (rf"""({_FIELD}\s*[=:]\s*)(?!\[redacted\])[^\s&"',;]+""", re.I, rf"\1{MASK}"),
    )
)


@dataclass(frozen=True)
class Redactor:
    """Knows the secrets of this process and the shapes of common ones."""

    secrets: tuple[str, ...] = ()
    """Values to hide, longest first, each of at least six characters."""

    @classmethod
    def of(cls, environment: Mapping[str, str], extra: Iterable[str] = ()) -> Redactor:
        """A redactor for every environment value whose name sounds like a secret, and the `extra` values.

        Each line of a value of several lines counts by itself, since logs split them.
        """
        values = [value for name, value in environment.items() if _is_secret_name(name)]
        parts = {part.strip() for value in [*values, *extra] for part in [value, *value.splitlines()]}
        # Longest first: a secret that contains another must go whole.
        return cls(tuple(sorted((part for part in parts if len(part) >= _SHORTEST_SECRET), key=len, reverse=True)))

    def clean(self, text: str) -> str:
        """The text with every known secret and everything shaped like one replaced by `[redacted]`."""
        for secret in self.secrets:
            text = text.replace(secret, MASK)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text

    def is_secret_field(self, name: str) -> bool:
        """Whether a log field of this name is hidden whatever it holds."""
        return bool(_SECRET_FIELD.search(name))


def _is_secret_name(name: str) -> bool:
    return bool(_SECRET_NAME.search(name)) and not _HARMLESS_NAME.search(name)
