"""Chromium, driven by playwright, for the tests of pages: such a file has `NEEDS_CHROMIUM` among its marks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NEEDS_CHROMIUM = pytest.mark.skipif(
    PROGRAM is None, reason="no Chromium on this machine (Debian: apt install chromium)"
)

# What is wider than the screen and does not scroll by itself.
_OVERFLOWING = """() => [...document.querySelectorAll('main *, footer')].filter(item =>
    item.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && !item.closest('.scroll, pre'))
    .map(item => item.outerHTML.slice(0, 120)).slice(0, 3)"""


def violations(page: Any) -> list[str]:
    """What axe-core finds, with everything unfolded."""
    from axe_playwright_python.sync_playwright import Axe

    page.evaluate("document.querySelectorAll('details').forEach(item => item.open = true)")
    found = Axe().run(page).response["violations"]
    return [f"{item['id']}: {item['nodes'][0]['html'][:200]}" for item in found]


def overflowing(page: Any) -> list[str]:
    """Elements that stand out of the screen to the right."""
    found: list[str] = page.evaluate(_OVERFLOWING)
    return found


@contextmanager
def chromium(*kinds: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    """One headless browser for each tuple of further options. Skips the test where playwright is not installed."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:
        browsers = tuple(
            started.chromium.launch(
                executable_path=PROGRAM,
                args=["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required", *more],
                timeout=120_000,
            )
            for more in kinds
        )
        yield browsers
        for browser in browsers:
            browser.close()
