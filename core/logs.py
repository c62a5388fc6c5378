"""Logs: plain lines for people, or one JSON object a line for machines; every line passes the redactor."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any, TextIO

from timbre.core.redaction import MASK, Redactor

LOGGER = "timbre"
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class PlainFormatter(logging.Formatter):
    """`12:30:01 warning engine: text key=value`."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self.redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        fields = "".join(f" {name}={value}" for name, value in _cleaned(_extra(record), self.redactor).items())
        line = f"{clock} {record.levelname.lower()} {_short(record.name)}: {record.getMessage()}{fields}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return self.redactor.clean(line)


class JsonFormatter(logging.Formatter):
    """One object a line: time (UTC, ISO 8601), level, logger, message, the fields given as `extra=`, error."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self.redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        entry: dict[str, Any] = {"time": when, "level": record.levelname.lower(), "logger": _short(record.name)}
        entry["message"] = record.getMessage()
        entry.update(_extra(record))
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        # Values are cleaned before encoding, where a secret with a quote or a line end still looks like itself.
        return json.dumps(_cleaned(entry, self.redactor), ensure_ascii=False, default=str)


def set_up(redactor: Redactor, *, as_json: bool, level: str = "info", stream: TextIO | None = None) -> logging.Logger:
    """The logger of this process, writing to standard error; called once by the command line, never by a room."""
    logger = logging.getLogger(LOGGER)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(JsonFormatter(redactor) if as_json else PlainFormatter(redactor))
    logger.addHandler(handler)
    logger.setLevel(level.upper())
    logger.propagate = False
    return logger


def _short(name: str) -> str:
    return name.removeprefix(LOGGER + ".")


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _cleaned(value: Any, redactor: Redactor) -> Any:
    if isinstance(value, dict):
        hidden = {str(name): redactor.is_secret_field(str(name)) for name in value}
        return {str(name): MASK if hidden[str(name)] else _cleaned(item, redactor) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(item, redactor) for item in value]
    return value if isinstance(value, int | float | None) else redactor.clean(str(value))
