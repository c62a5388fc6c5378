"""Alerts to a chat: notifies a Slack-compatible webhook when a run fails and when an alias moves.

An alert never changes the outcome of a run: a webhook that is down is a warning in the log.
"""

from __future__ import annotations

import json
import logging
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from timbre.core.errors import ConfigurationError
from timbre.core.redaction import Redactor

_TIMEOUT_S = 10
_ATTEMPTS = 2
# Slack refuses longer sections (3,000 characters) and shows long ones badly.
_MOST_CHARACTERS = 2000


@dataclass(frozen=True)
class Alert:
    """A message to the webhook."""

    title: str
    """One line."""
    text: str
    """What is wrong and what to do."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Short facts (voice, stage, commit, job)."""


@dataclass(frozen=True)
class Webhook:
    """An incoming webhook (Slack, Mattermost, Rocket.Chat). The address is a secret. Raises ConfigurationError."""

    url: str
    """http or https; a secret."""
    redactor: Redactor
    """Takes secrets out of everything that is sent."""

    def __post_init__(self) -> None:
        if not self.url.startswith(("https://", "http://")):
            raise ConfigurationError(
                "webhook: the address does not begin with https:// or http://", "correct TIMBRE_WEBHOOK"
            )

    def send(self, alert: Alert, log: logging.Logger) -> bool:
        """Post the alert; False, with a warning in the log, when it could not be delivered."""
        body = json.dumps(slack_message(alert, self.redactor)).encode()
        headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "timbre"}
        reason = ""
        for _ in range(_ATTEMPTS):
            request = urllib.request.Request(self.url, data=body, headers=headers, method="POST")
            try:
                with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
                    response.read()
                return True
            except urllib.error.HTTPError as error:
                reason = f"HTTP {error.code}"
                if error.code < 500 and error.code != 429:
                    break
            except (OSError, ValueError) as error:
                reason = str(getattr(error, "reason", error))
        log.warning("alert not delivered", extra={"title": alert.title, "reason": reason})
        return False


def slack_message(alert: Alert, redactor: Redactor) -> dict[str, Any]:
    """The JSON body: `text` for notifications and simple receivers, `blocks` for Slack; no secrets, no markup."""
    text = redactor.clean(alert.text)
    if len(text) > _MOST_CHARACTERS:
        text = text[: _MOST_CHARACTERS - 1] + "…"
    title = _escaped(redactor.clean(alert.title))
    blocks: list[dict[str, Any]] = [_section(f"*{title}*")]
    if text:
        # A code block: file names with underscores and stars stay what they are.
        blocks.append(_section(f"```{_escaped(text).replace('```', '` ` `')}```"))
    facts = [f"*{_escaped(name)}:* {_escaped(redactor.clean(value))}" for name, value in alert.fields.items() if value]
    if facts:
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": fact} for fact in facts[:10]]})
    return {"text": f"{title}\n{_escaped(text)}".strip(), "blocks": blocks}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _escaped(text: str) -> str:
    """Slack's three control characters; without this `<!channel>` in a file name would wake everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
