"""Findings of stage 1 at file and line, as a merge request shows them."""

from __future__ import annotations

import json

from timbre.core.problems import Problem
from timbre.pipeline.stages.table import stage_row
from timbre.pipeline.stages.validate.code_quality import FILE, JENKINS_FILE, code_quality, findings, warnings_ng

TABLE = "file|text\nwavs/1.wav|One.\nwavs/2.wav|Two.\n"


def places(*wheres: str) -> list[tuple[str, int]]:
    problems = [Problem(where, "too quiet", "-40 dBFS", "record again") for where in wheres]
    found = json.loads(code_quality(findings("ada", problems, [], TABLE)))
    return [(item["location"]["path"], item["location"]["lines"]["begin"]) for item in found]


def test_findings_stand_where_a_person_changes_something() -> None:
    wheres = ("metadata.csv, line 3", "voices/ada/voice.yaml: base", "wavs/2.wav", "wavs/9.wav", "lexicon.txt, line 2")
    assert places(*wheres) == [
        ("voices/ada/metadata.csv", 3), ("voices/ada/voice.yaml", 1), ("voices/ada/metadata.csv", 3),
        ("voices/ada/wavs/9.wav", 1), ("voices/ada/lexicon.txt", 2),
    ]  # fmt: skip
    assert places("voice name", "all recordings") == [("voices/ada/voice.yaml", 1)] * 2


def test_problems_weigh_more_than_remarks_and_keep_their_identity() -> None:
    problem = Problem("wavs/2.wav", "too quiet", "-40 dBFS", "record again")
    first = json.loads(code_quality(findings("ada", [problem], [problem], TABLE)))
    assert [item["severity"] for item in first] == ["major", "info"]
    assert first[0]["description"] == "wavs/2.wav: too quiet; expected -40 dBFS. record again"
    moved = json.loads(code_quality(findings("ada", [problem], [], "file|text\n" + TABLE)))
    assert moved[0]["fingerprint"] == first[0]["fingerprint"]
    assert moved[0]["location"] != first[0]["location"]


def test_jenkins_gets_the_same_findings() -> None:
    problems = [Problem("metadata.csv, line 3", "no text", "a text", "write it")]
    remarks = [Problem("wavs/2.wav", "quiet", "-30 dBFS", "record again")]
    found = findings("ada", problems, remarks, TABLE)
    gitlab, jenkins = json.loads(code_quality(found)), json.loads(warnings_ng(found))
    assert jenkins["_class"] == "io.jenkins.plugins.analysis.core.restapi.ReportApi"
    assert [
        (item["fileName"], item["lineStart"], item["message"], item["fingerprint"]) for item in jenkins["issues"]
    ] == [
        (item["location"]["path"], item["location"]["lines"]["begin"], item["description"], item["fingerprint"])
        for item in gitlab
    ]
    assert [item["severity"] for item in jenkins["issues"]] == ["ERROR", "LOW"]


def test_the_table_of_stages_names_the_files() -> None:
    assert (stage_row("validate").code_quality, stage_row("validate").warnings) == (FILE, JENKINS_FILE)
