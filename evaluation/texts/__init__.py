"""The fixed sentences that every voice of a language is asked to speak, under version control."""

from __future__ import annotations

from importlib import resources

from timbre.core.errors import ConfigurationError

VERSION = "2"


def fixed_sentences(language: str) -> list[str]:
    """The sentences of a language, in their fixed order. Raises ConfigurationError when there are none."""
    path = resources.files(__package__) / f"{language}-{VERSION}.txt"
    if not path.is_file():
        known = sorted(
            item.name.removesuffix(f"-{VERSION}.txt")
            for item in resources.files(__package__).iterdir()
            if item.name.endswith(f"-{VERSION}.txt")
        )
        raise ConfigurationError(
            f"evaluation: there are no fixed sentences for language {language!r}",
            f"add evaluation/texts/{language}-{VERSION}.txt; there are: {', '.join(known)}",
        )
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]
