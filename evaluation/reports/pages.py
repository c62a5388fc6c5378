"""What all pages share: templates that escape everything, one style sheet, and the choice of the language."""

from __future__ import annotations

from functools import cache
from importlib import resources

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

_HERE = "timbre.evaluation.reports"


def read(package: str, name: str) -> str:
    """A file of a package's templates as it is: style sheets and scripts of ours."""
    return (resources.files(package) / "templates" / name).read_text(encoding="utf-8")


CSS = read(_HERE, "base.css")
LANGUAGE_SCRIPT = read(_HERE, "language.js")


@cache
def environment(package: str) -> Environment:
    """Templates of a package, then those of this one. All text is escaped; an unknown name is an error."""
    loaders = [PackageLoader(name) for name in dict.fromkeys((package, _HERE))]
    return Environment(
        loader=ChoiceLoader(loaders), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
