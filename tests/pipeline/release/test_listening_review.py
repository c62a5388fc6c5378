"""A blind listening test as a review: only about these versions and their own sounds, whole, and not against them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.evaluation.test_gates import measured
from tests.evaluation.test_report_page import Chinese
from tests.pipeline.release.test_compare import CI, measured_mos, page_of, publish, sides, spread, two
from timbre.cli.dashboard.site import Site
from timbre.cli.dashboard.voice_view import VoiceView
from timbre.cli.main import timbre
from timbre.core.digests import digest_file
from timbre.core.errors import CheckFailedError, InputError
from timbre.evaluation.listening import KIND, in_chinese
from timbre.pipeline.release.registry_view import VoiceSummary
from timbre.registry.registry import Registry
from timbre.registry.run_records import RunStore

__all__ = ["two"]
Two = tuple[Registry, str, str]


@dataclasses.dataclass
class Review:
    """old is the candidate, new speaks now. trials: as the page of the two saves them."""

    registry: Registry
    old: str
    new: str
    folder: Path
    test: dict[str, Any]

    def result(self, name: str, chosen: str, **more: Any) -> Path:
        """A file with one letter a trial: a is what speaks now, b the candidate, - neither."""
        words = {"a": "a", "b": "b", "-": "none"}
        pairs = self.test["pairs"]
        trials = [
            {"id": f"{pairs[index % len(pairs)]['id']}", "sounds": pairs[index % len(pairs)]["sounds"],
             "chose": words[one]}
            for index, one in enumerate(chosen)
        ]  # fmt: skip
        about = {"kind": KIND, "schema": 1, "a": self.test["a"], "b": self.test["b"], "listener": name,
                 "sentences": len(pairs), "trials": trials}  # fmt: skip
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(about | more), encoding="utf-8")
        return path

    def approve(self, *files: Path, version: str = "", approve: bool = True) -> Result:
        options = [part for path in files for part in ("--listening", str(path))]
        call = ["promote", "ada", version or self.old, "--registry", self.registry.store.url.removeprefix("file://")]
        return CliRunner().invoke(timbre, [*call, "--by", "Eve", *["--approve"] * approve, *options])

    @property
    def production(self) -> str | None:
        state = self.registry.alias("ada")
        return state.version if state else None


@pytest.fixture
def review(two: Two, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Review:
    registry, old, new = two
    monkeypatch.chdir(tmp_path)
    page = page_of(sides(two, tmp_path, "ada", f"ada@{old}"))
    test = json.loads(page.partition('id="test">')[2].partition("</script>")[0])
    assert test["a"] == f"ada@{new}"
    return Review(registry, old, new, tmp_path, test)


def test_what_listeners_found_is_recorded_with_the_approval(review: Review) -> None:
    found = review.approve(review.result("one", "bbb-"), review.result("two", "bab"))
    assert found.exit_code == 0, found.output
    assert review.production == review.old
    last = review.registry.history("ada")[-1]
    assert last.approved_by == "Eve"
    sentence = f"2 listeners: 1 for ada@{review.new}, 5 for ada@{review.old}, 1 undecided; p = 0.219, may be chance"
    assert last.reason.startswith(sentence)
    assert last.reason.count(", ") == sentence.count(", ") + 1, "and the digests of both files"
    chinese = in_chinese(last.reason)
    assert chinese.startswith(f"盲听 2 人：1 票选 ada@{review.new}，5 票选 ada@{review.old}，1 票无差别")
    (row,) = VoiceView(_summary(), events=(last,)).timeline()
    assert row["why"] == (last.reason, chinese)


def test_a_result_against_the_candidate_refuses_it(review: Review) -> None:
    found = review.approve(review.result("one", "aab-a"))
    assert isinstance(found.exception, CheckFailedError)
    assert f"listeners prefer ada@{review.new}" in str(found.exception)
    assert review.production == review.new, "what was stored before stays"
    assert review.approve(review.result("even", "ab-ab")).exit_code == 0, "no preference speaks against nobody"


def test_results_about_something_else_are_refused(review: Review, tmp_path: Path) -> None:
    third = publish(
        review.registry, tmp_path / "third", "the third", spread(measured({"dnsmos": measured_mos() + 0.4})), 32
    )
    review.registry.promote("ada", review.new, actor=CI, by_hand=True)
    strange = [{**pair, "sounds": {"a": pair["sounds"]["a"], "b": "f" * 64}} for pair in review.test["pairs"]]
    silent = [{"id": pair["id"], "sounds": {}} for pair in review.test["pairs"]]
    one = review.result("one", "bbbbb")
    cases = {
        "other version": ([one], third, f"compares ada@{review.new} with ada@{review.old}, not"),
        "other voice": ([review.result("voice", "bbbbb", b=f"eve@{review.old}")], "", "compares"),
        "few": ([review.result("few", "bbbb")], "", "4 judgements; expected at least 5"),
        "twice": ([one, one], "", "one result was given twice"),
        "skipped": ([review.result("skipped", "bbbbb", sentences=7)], "", "5 sentences of the test were not judged"),
        "none": ([tmp_path / "none.json"], "", "no result of a listening test"),
    }
    for name, (files, version, why) in cases.items():
        found = review.approve(*files, version=version)
        assert isinstance(found.exception, InputError), name
        assert why in str(found.exception), name
    for pairs, why in ((strange, "a sound of ada"), (silent, "not named")):
        review.test["pairs"] = pairs
        found = review.approve(review.result("sounds", "bbbbb"))
        assert isinstance(found.exception, InputError)
        assert why in str(found.exception)
    assert review.production == review.new
    assert review.approve(one, version=review.new).exception is not None, "it is compared with itself"
    assert review.approve(one, approve=False).exit_code == 2


def test_the_dashboard_tests_what_waits_against_what_speaks(review: Review) -> None:
    better = spread(measured({"dnsmos": measured_mos() + 0.4}))
    review.old = publish(review.registry, review.folder / "third", "the third", better, 32, promote=False)
    runs = RunStore(review.registry.store)
    about = {"state": "waiting", "version": review.old, "commit": "c1"}
    runs.finish("ada", runs.begin("ada", review.registry.now(), {}), about, {})
    site = review.folder / "site"
    Site(site, review.registry).write("now")
    page = (site / "ada.html").read_text(encoding="utf-8")
    review.test = json.loads(page.partition('id="test">')[2].partition("</script>")[0])
    assert (review.test["a"], review.test["b"]) == (f"ada@{review.new}", f"ada@{review.old}")
    assert [pair["text"] for pair in review.test["pairs"]] == ["Text <0>.", "Text <1>."]
    for number, pair in enumerate(review.test["pairs"]):
        for side, digest in pair["sounds"].items():
            sound = f"samples/ada/blind-{number}-{side}.wav"
            assert f'id="{side}-{number}"' in page
            assert f'src="{sound}"' in page
            assert digest_file(site / sound) == digest
    blind = Chinese(page[page.index('<section id="blind">') : page.index("<h2>", page.index('id="outcome"'))])
    assert blind.english({"A", "B", "Text", "p"}) == []
    assert "waiting for review" in (site / "index.html").read_text(encoding="utf-8")
    assert review.approve(review.result("one", "bbbbb")).exit_code == 0, "its result is a review"
    Site(site, review.registry).write("now")
    assert "blind-" not in (site / "ada.html").read_text(encoding="utf-8"), "nothing waits any more"
    (data,) = json.loads((site / "voices.json").read_text(encoding="utf-8"))
    assert data["now"] == "published", "an approval ends the waiting"
    assert not list(site.rglob("blind-*"))


def _summary() -> VoiceSummary:
    return VoiceSummary("ada", False, "en", "pico", "synthetic", 0, "", "", 2, "published")
