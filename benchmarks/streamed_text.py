"""Text that arrives as a language model writes it, spoken over a WebSocket by a server in a separate process.

    python -m benchmarks.streamed_text --export .timbre/exports/DIGEST

Words come at 20 a second. Printed beside their limits: from the first word to the first sound (no limit), from the last
word to the last sound, and gaps: moments at which a player that began at once has nothing left to play, for longer
than 300 ms. Voices are random adapters, which compute like trained ones.
"""

from __future__ import annotations

import base64
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import click
from websockets.sync.client import ClientConnection, connect

from benchmarks.server import pico, report, serving
from tests.serving.shelf_of_voices import Shelf

WORDS_A_SECOND = 20.0
RATE_HZ = 24_000
LIMIT_LAST_S, LIMIT_GAP_S = 0.8, 0.3
TEXT = (
    "Good morning, and welcome to the harbour. The boats leave at ten, and the last of them comes back before the sun "
    "goes down, so please keep your ticket with you. If you would like to sit by the window, tell the man at the gate. "
    "There is tea and bread on board. The sea is calm today, the wind is light, and the island is an hour away. "
)


@dataclass(frozen=True)
class Turn:
    """Seconds from the first word to the first sound and from the last word to the last sound; gaps: s of each pause
    of the player; speech_s: what was spoken.
    """

    first_s: float
    last_s: float
    gaps: tuple[float, ...]
    speech_s: float


def one_turn(client: ClientConnection, text: str) -> Turn:
    """Writes the words while it listens."""
    sent: list[float] = []

    def write() -> None:
        begun = time.perf_counter()
        for index, word in enumerate(text.split()):
            time.sleep(max(0.0, begun + index / WORDS_A_SECOND - time.perf_counter()))
            client.send(json.dumps({"type": "text.delta", "delta": f"{word} "}))
            sent.append(time.perf_counter())
        client.send(json.dumps({"type": "text.done"}))

    writer = threading.Thread(target=write)
    writer.start()
    pieces: list[tuple[float, float]] = []
    while True:
        event = json.loads(client.recv(timeout=120))
        if event["type"] == "error":
            raise SystemExit(f"the server says {event['error']['message']}")
        if event["type"] == "speech.audio.delta":
            pieces.append((time.perf_counter(), len(base64.b64decode(event["audio"])) / 2 / RATE_HZ))
        if event["type"] == "speech.audio.done":
            break
    writer.join()
    gaps, ends = [], pieces[0][0]
    for came, seconds in pieces:
        if came > ends:
            gaps.append(came - ends)
        ends = max(ends, came) + seconds
    return Turn(pieces[0][0] - sent[0], pieces[-1][0] - sent[-1], tuple(gaps), sum(item for _, item in pieces))


@click.command()
@click.option("--export", type=click.Path(path_type=Path, exists=True), default=None, help="An exported base.")
@click.option("--turns", default=5, show_default=True)
@click.option("--paragraphs", default=1, show_default=True, help="How often the text is said in a turn.")
def main(export: Path | None, turns: int, paragraphs: int) -> None:
    """Prints every figure with its limit; exit code 1 when one is missed."""
    with tempfile.TemporaryDirectory(prefix="timbre-bench-") as temporary:
        folder = Path(temporary)
        shelf = Shelf(folder / "registry", export or pico(folder))
        shelf.publish("ada", 1)
        click.echo(f"base {shelf.base.name}, load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} core(s) allowed")
        with serving(shelf.folder, folder / "cache") as running:
            url = f"ws://127.0.0.1:{running.port}/v1/audio/speech/stream?voice=ada&seed=1"
            with connect(url, proxy=None, max_size=None) as client:
                one_turn(client, TEXT)
                before_s = running.cpu_s
                found = [one_turn(client, TEXT * paragraphs) for _ in range(turns)]
                cpu_s = running.cpu_s - before_s
    speech_s = sum(item.speech_s for item in found)
    first = statistics.median(item.first_s for item in found)
    click.echo(f"first word to first sound, s (median)   {first:.3f}")
    click.echo(f"CPU seconds a second of speech          {cpu_s / speech_s:.3f}  ({speech_s:.0f} s of speech)")
    last = max(item.last_s for item in found)
    fine = report("last word to last sound, s", last, LIMIT_LAST_S, f"longest of {turns} turns")
    gaps = [gap for item in found for gap in item.gaps if gap > LIMIT_GAP_S]
    longest = max((gap for item in found for gap in item.gaps), default=0.0)
    fine = report("gaps above 300 ms", len(gaps), 0, f"longest pause of the player {longest:.3f} s") and fine
    sys.exit(not fine)


if __name__ == "__main__":
    main()
