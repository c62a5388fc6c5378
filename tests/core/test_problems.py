"""Errors of several problems: a text for people, and the problems themselves for reports and JSON."""

from __future__ import annotations

from timbre.core.problems import Problem, configuration_error, problems_error


def test_an_error_of_problems_carries_them() -> None:
    problems = [Problem("a.yaml: x", "1", "2", "write 2"), Problem("a.yaml: y", "3", "4", "write 4")]
    for error in (problems_error(problems, "voice ada"), configuration_error(problems, "base nano")):
        assert error.problems == problems
        assert "2 problems" in str(error)
        assert "2. a.yaml: y: 3; expected 4" in str(error)
