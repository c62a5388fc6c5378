"""The door: one code for one browser, pages of this address only, and nothing written outside the voice's folder."""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.studio.running import VOICE, Studio, send, wav
from timbre.studio.certificate import make_certificate
from timbre.studio.door import MAX_BODY_BYTES

TAKE = wav(np.zeros(24_000, np.float32))


def test_a_code_works_once_and_the_next_one_is_told(studio: Studio) -> None:
    code = studio.codes.code
    assert studio.told[-1] == code
    assert send("GET", f"{studio.url}/enter?code={code}").status == 303
    assert send("GET", f"{studio.url}/enter?code={code}").status == 401
    assert studio.told[-1] == studio.codes.code != code
    answer = send("GET", f"{studio.url}/enter?code={studio.codes.code}")
    assert {"HttpOnly", "SameSite=strict"} <= set(answer.headers["set-cookie"].split("; "))


def test_guessing_codes_changes_them(studio: Studio) -> None:
    before = studio.codes.code
    for number in range(20):
        assert send("GET", f"{studio.url}/enter?code={number}").status == 401
    assert studio.codes.code != before
    assert send("GET", f"{studio.url}/enter?code={before}").status == 401


def test_without_a_session_there_is_nothing(studio: Studio) -> None:
    assert send("GET", f"{studio.url}/").status == 401
    refused = send("GET", f"{studio.url}/api/state")
    assert (refused.status, refused.code) == (401, "no-session")
    forged = {"cookie": f"timbre-studio-{studio.port}=x", "origin": studio.url, "x-timbre-studio": "1"}
    assert send("POST", f"{studio.url}/api/voices", b"{}", forged).status == 401
    assert not (studio.root / "voices" / "ada").exists()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example:80"}, 421),
        ({"host": "127.0.0.1:1"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"x-timbre-studio": ""}, 201),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({}, 201),
    ],
)
def test_pages_of_other_sites_stay_outside(studio: Studio, headers: dict[str, str], status: int) -> None:
    assert studio.call("POST", "/api/voices", VOICE, **headers).status == status
    assert (studio.root / "voices" / "ada").exists() == (status == 201)


def test_a_simple_form_of_another_page_lacks_the_header(studio: Studio) -> None:
    own = {"cookie": studio.cookie, "origin": studio.url}
    assert send("POST", f"{studio.url}/api/voices", b"{}", own).status == 403


def test_answers_carry_their_policy(studio: Studio) -> None:
    page = studio.call("GET", "/")
    assert page.status == 200
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-content-type-options"] == "nosniff"


def test_a_body_that_is_too_large_is_not_kept(ada: Studio) -> None:
    assert ada.call("PUT", "/api/voices/ada/takes/0001", b"\0" * (MAX_BODY_BYTES + 1)).status == 413
    assert not list(ada.voice.glob("wavs/*.flac"))


@pytest.mark.parametrize("name", ["..", "../x", "Ada", "a/b", ".git", "%2e%2e", "con:", ""])
def test_names_that_lead_elsewhere_make_no_folder(studio: Studio, name: str) -> None:
    answer = studio.call("POST", "/api/voices", {**VOICE, "name": name})
    assert answer.status in (400, 404, 409)
    assert list((studio.root / "voices").iterdir()) == []
    assert studio.call("GET", f"/api/voices/{name.replace('/', '%2F')}").status in (200, 307, 404, 405)


@pytest.mark.parametrize("line", ["..%2F..%2Fx", "%2e%2e%2fx", "voice", "9999", ".studio"])
def test_a_take_has_a_line_of_the_script(ada: Studio, line: str) -> None:
    before = {path for path in ada.root.rglob("*") if "bases" not in path.parts}
    assert ada.call("PUT", f"/api/voices/ada/takes/{line}", TAKE).status in (404, 405)
    assert {path for path in ada.root.rglob("*") if "bases" not in path.parts} == before


@pytest.mark.parametrize("place", ["wavs", ".studio", "wavs/0001.flac", "metadata.csv"])
def test_links_are_not_written_through(ada: Studio, place: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("mine")
    path = ada.voice / place
    if path.is_dir():
        path.rename(tmp_path / "aside")
    path.unlink(missing_ok=True)
    path.symlink_to(outside / "file" if path.suffix else outside)
    answer = ada.call("PUT", "/api/voices/ada/takes/0001", TAKE)
    assert answer.status == 409
    assert answer.code == "link"
    assert (outside / "file").read_text() == "mine"
    assert [entry.name for entry in outside.iterdir()] == ["file"]


def test_a_voice_folder_that_is_a_link_is_left_alone(ada: Studio, tmp_path: Path) -> None:
    ada.voice.rename(tmp_path / "elsewhere")
    ada.voice.symlink_to(tmp_path / "elsewhere")
    before = sorted((tmp_path / "elsewhere").rglob("*"))
    assert ada.call("PUT", "/api/voices/ada/takes/0001", TAKE).status in (404, 409)
    assert sorted((tmp_path / "elsewhere").rglob("*")) == before


def test_a_code_may_be_typed_as_people_type(studio: Studio) -> None:
    code = studio.codes.code
    typed = "-".join(code[at : at + 4] for at in range(0, len(code), 4)).upper()
    assert send("GET", f"{studio.url}/enter?code=+{typed}").status == 303


def test_the_page_for_the_code_is_a_form_that_this_address_takes(studio: Studio) -> None:
    answer = send("GET", f"{studio.url}/")
    assert b'<form action="/enter">' in answer.body
    assert "form-action 'self'" in answer.headers["content-security-policy"]


def test_https_for_a_telephone(tmp_path: Path) -> None:
    """The certificate is for the address, its fingerprint is the one that is told, its key is nobody else's."""
    address = "192.168.7.8"
    made = make_certificate(tmp_path, address)
    assert made.key.stat().st_mode & 0o077 == 0
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made.certificate, made.key)
    client = ssl.create_default_context(cafile=str(made.certificate))
    told: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            with listening.accept()[0] as plain, server.wrap_socket(plain, server_side=True) as secured:
                secured.recv(1)

        serving = threading.Thread(target=answer, daemon=True)
        serving.start()
        plain = socket.create_connection(listening.getsockname())
        with client.wrap_socket(plain, server_hostname=address) as secured:
            told.append(secured.getpeercert(binary_form=True) or b"")
            secured.send(b"x")
        serving.join(10)
    assert hashlib.sha256(told[0]).hexdigest().upper() == made.fingerprint.replace(":", "")
