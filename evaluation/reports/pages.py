"""What all pages share: templates that escape everything, one style sheet, and the choice of the language."""

from __future__ import annotations

from functools import cache
from importlib import resources

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

_HERE = "timbre.evaluation.reports"


def _read(name: str) -> str:
    return (resources.files(_HERE) / "templates" / name).read_text(encoding="utf-8")


CSS = _read("base.css")
LANGUAGE_SCRIPT = _read("language.js")


@cache
def environment(package: str) -> Environment:
    """Templates of a package, then those of this one. All text is escaped; an unknown name is an error."""
    loaders = [PackageLoader(name) for name in dict.fromkeys((package, _HERE))]
    return Environment(
        loader=ChoiceLoader(loaders), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
