"""What is wrong with a document or a recording, in the form that every reader and every check reports it.

A reader collects all problems of its document and raises them together, so that nobody corrects a file line by line.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from timbre.core.errors import ConfigurationError, InputError
from timbre.core.near_names import nearest


@dataclass(frozen=True)
class Problem:
    """One thing that a person has to change.

    A sentence of the error, a row of a report, an entry of a merge request's list.
    """

    where: str
    """File and field: "voices/ada/voice.yaml: base"."""
    value: str
    """What was found."""
    limit: str
    """What was expected."""
    remedy: str
    """The next action."""
    kind: str = field(default="", compare=False)
    """A word for programs that say it in words of their own ("noise"); "" where there is none."""

    def __str__(self) -> str:
        return f"{self.where}: {self.value}; expected {self.limit}\n  -> {self.remedy}"


_GROUPED_FROM = 4
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")


def grouped(problems: Sequence[Problem]) -> list[Problem]:
    """The same problems for a reader: four or more that differ only in where and in their numbers become one, which
    names the places and shows the first value.
    """
    kinds: dict[tuple[str, str, str], list[Problem]] = {}
    for problem in problems:
        kind = (_NUMBER.sub("#", problem.value), _NUMBER.sub("#", problem.limit), problem.remedy)
        kinds.setdefault(kind, []).append(problem)
    found = []
    for same in kinds.values():
        if len(same) < _GROUPED_FROM:
            found += same
            continue
        places = ", ".join(problem.where for problem in same[:_GROUPED_FROM])
        rest = len(same) - _GROUPED_FROM
        where = f"{places} and {rest} more" if rest else places
        found.append(dataclasses.replace(same[0], where=where))
    return found


def problems_error(problems: Sequence[Problem], title: str) -> InputError:
    """The InputError that lists every problem of what a person pushed; it carries them as `problems`."""
    error = InputError(problems_text(problems, title))
    error.problems = list(problems)  # type: ignore[attr-defined]
    return error


def configuration_error(problems: Sequence[Problem], title: str) -> ConfigurationError:
    """The ConfigurationError that lists every problem of the operator's files; it carries them as `problems`."""
    error = ConfigurationError(problems_text(problems, title))
    error.problems = list(problems)  # type: ignore[attr-defined]
    return error


def problems_text(problems: Sequence[Problem], title: str) -> str:
    """A line with the title and the count, then every problem with its number."""
    lines = [f"{title}: {len(problems)} problem{'s' if len(problems) != 1 else ''}"]
    lines += [f"{number}. {problem}" for number, problem in enumerate(grouped(problems), 1)]
    return "\n".join(lines)


def unknown_key(where: str, name: object, known: Iterable[str]) -> Problem:
    """The problem of a key that does not exist; the remedy names the nearest known key, or lists all of them."""
    names = sorted(known)
    guess = nearest(str(name), names)
    remedy = f"did you mean `{guess}`?" if guess else f"remove it; known keys are: {', '.join(names)}"
    return Problem(where, f"unknown key `{name}`", "a known key", remedy)


def shown(value: object) -> str:
    """A value as Python writes it, cut to 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
