"""Timbre turns a commit into a voice: few-shot voice cloning as a CI pipeline with quality gates.

Programs import `timbre.api`; the rooms behind it are subpackages (CONTRIBUTING.md).
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("timbre")
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0.0.0"
