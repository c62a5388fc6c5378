"""Where silence stands around sentences, and what a script asks of the engine."""

from __future__ import annotations

import pytest

from timbre.core.errors import InputError
from timbre.inference.planning import passages
from timbre.inference.request import SpeechRequest
from timbre.inference.sampling import Sampling
from timbre.inference.scripted import marked_turns, spoken_turns
from timbre.text.marked_text import read_script


def silences(text: str, **more: float) -> list[tuple[str, float, float]]:
    (turn,) = marked_turns(SpeechRequest(text, pause_s=0.3, **more))
    return [(item.text, item.before_s, item.after_s) for item in passages(turn.request)]


def test_a_marked_pause_takes_the_place_of_the_usual_one() -> None:
    text = "Here is the first sentence. [pause:1s] Here is the second one. Here comes the third one."
    assert [before for _, before, _ in silences(text)] == [0.0, 1.0, 0.3]
    assert [before for _, before, _ in silences(text.replace("1s", "0s"))] == [0.0, 0.0, 0.3]
    assert [before for _, before, _ in silences(text, lead_s=0.5)] == [0.5, 1.0, 0.3]


def test_pauses_cut_sentences_add_up_and_stand_at_the_edges() -> None:
    assert silences("[pause:1s] One [pause:500ms][pause:250ms] two. [pause:2s]") == [
        ("One", 1.0, 0.0),
        ("two.", 0.75, 2.0),
    ]


def test_turns_have_their_own_speed_language_and_random_numbers() -> None:
    document = '<speak xml:lang="en">One.<prosody rate="50%">Two. <voice name="bob">Three.</voice></prosody></speak>'
    turns = marked_turns(SpeechRequest(document, speed=1.5, sampling=Sampling(seed=7)))
    assert [(turn.voice, turn.request.speed, turn.request.language) for turn in turns] == [
        ("", 1.5, "en"), ("", 0.75, "en"), ("bob", 0.75, "en"),
    ]  # fmt: skip
    assert turns[0].request.sampling.seed == 7
    assert len({turn.request.sampling.seed for turn in turns}) == 3
    assert [turn.request.lead_s for turn in turns] == [0.0, 0.3, 0.3]
    with pytest.raises(InputError, match="speed"):
        marked_turns(SpeechRequest('<speak><prosody rate="25%">One.</prosody></speak>', speed=0.5))


def test_a_long_turn_is_spoken_in_parts() -> None:
    script = read_script("[voice:bob] " + "Yes. No. " * 1_200 + "[pause:1s] Done.")
    turns = spoken_turns(script, SpeechRequest("", sampling=Sampling(seed=1)))
    assert len(turns) > 5
    assert {turn.voice for turn in turns} == {"bob"}
    assert sum(turn.request.text.count("Yes.") for turn in turns) == 1_200
    assert len({turn.request.sampling.seed for turn in turns}) == len(turns)
    assert passages(turns[-1].request)[-1].before_s == 1.0
