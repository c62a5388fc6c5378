"""Who a CI job is: tokens of GitLab and GitHub are checked, Jenkins is asked, and what is forged is refused."""

from __future__ import annotations

import base64
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from tests.registry.conftest import make_files, make_manifest
from timbre.cli.invocation import Invocation
from timbre.cli.main import call
from timbre.core.errors import ConfigurationError, InfrastructureError
from timbre.pipeline.ci.identity import answering_actor, signed_actor
from timbre.registry.actor import Actor
from timbre.registry.address import RegistryAddress
from timbre.registry.open import open_registry
from timbre.registry.policy import Policy, parse_policy
from timbre.registry.registry import Registry

GITLAB, GITHUB = "https://gitlab.example.org", "https://token.actions.githubusercontent.com"
CLAIMS = {
    "iss": GITLAB, "aud": "timbre", "user_login": "ada", "user_email": "ada@example.org",
    "project_path": "school/voices", "ref": "main", "ref_type": "branch",
}  # fmt: skip
NAMED = ("ada <ada@example.org>", f"{GITLAB} school/voices@main")


@pytest.fixture(scope="module")
def key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


def signed(key: RSAPrivateKey, kid: str = "k1", **claims: Any) -> str:
    body = {**CLAIMS, "exp": time.time() + 300, **claims}
    return jwt.encode({name: value for name, value in body.items() if value is not None}, key, "RS256", {"kid": kid})


def key_set(key: RSAPrivateKey) -> dict[str, Any]:
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return {"keys": [{**public, "kid": "k1", "alg": "RS256"}]}


def policy(tmp_path: Path, keys: str = "keys.json", **more: Any) -> Policy:
    issuer = {"issuer": GITLAB, "keys": keys, "claims": {"project_path": "school/*"}, **more}
    return parse_policy({"identities": [issuer]}, str(tmp_path / "policy.yaml"))


@pytest.fixture
def server(key: RSAPrivateKey) -> Iterator[dict[str, Any]]:
    """A CI server: path -> answer; what was asked stands under "asked"."""
    answers: dict[str, Any] = {"/keys": key_set(key), "asked": []}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers["asked"].append((self.path, self.headers.get("Authorization", "")))
            found = answers.get(self.path.partition("?")[0])
            self.send_response(200 if found is not None else answers.get("code", 404))
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

        def log_message(self, *_: object) -> None:
            return

    http = HTTPServer(("127.0.0.1", 0), Handler)
    answers["address"] = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield answers
    http.shutdown()
    http.server_close()


def test_a_token_of_gitlab_names_person_project_and_branch(
    tmp_path: Path, key: RSAPrivateKey, server: dict[str, Any]
) -> None:
    (tmp_path / "keys.json").write_text(json.dumps(key_set(key)))
    for keys in ("keys.json", server["address"] + "/keys"):
        for variable in ("TIMBRE_ID_TOKEN", "CI_JOB_JWT"):
            found = signed_actor({variable: signed(key)}, [policy(tmp_path, keys)])
            assert found is not None
            assert (found.name, found.proof) == NAMED
    assert signed_actor({}, [policy(tmp_path)]) is None
    assert signed_actor({"TIMBRE_ID_TOKEN": signed(key)}, [Policy()]) is None, "no policy counts it"


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iss": "https://evil.example.org"}, "the policy trusts"),
        ({"aud": "other"}, "[Aa]udience"),
        ({"aud": None}, "aud"),
        ({"exp": 1}, "expired"),
        ({"exp": None}, "exp"),
        ({"project_path": "evil/voices"}, "project_path is evil/voices"),
        ({"project_path": None}, "project_path is None"),
        ({"kid": "k2"}, "has no key k2"),
    ],
)
def test_a_token_with_another_claim_is_refused(
    tmp_path: Path, key: RSAPrivateKey, claims: dict[str, Any], why: str
) -> None:
    (tmp_path / "keys.json").write_text(json.dumps(key_set(key)))
    with pytest.raises(ConfigurationError, match=why):
        signed_actor({"TIMBRE_ID_TOKEN": signed(key, **claims)}, [policy(tmp_path)])


def test_a_forged_token_is_refused(tmp_path: Path, key: RSAPrivateKey) -> None:
    (tmp_path / "keys.json").write_text(json.dumps(key_set(key)))
    body = {**CLAIMS, "exp": time.time() + 300}
    public = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())
    head, content = (_part(item) for item in ({"alg": "HS256", "kid": "k1"}, body))
    mac = hmac.digest(public.encode(), f"{head}.{content}".encode(), "sha256")
    forged = {
        "another key": signed(generate_private_key(65537, 2048)),
        "no signature": jwt.encode(body, None, "none", {"kid": "k1"}),
        "the public key as a password": f"{head}.{content}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}",
        "changed": signed(key)[:-8] + "AAAAAAAA",
        "no token": "abc",
    }
    for what, token in forged.items():
        with pytest.raises(ConfigurationError):
            signed_actor({"TIMBRE_ID_TOKEN": token}, [policy(tmp_path)])
            pytest.fail(what)


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_keys_come_over_https_or_from_this_machine(tmp_path: Path, key: RSAPrivateKey) -> None:
    with pytest.raises(ConfigurationError, match="need https"):
        signed_actor({"TIMBRE_ID_TOKEN": signed(key)}, [policy(tmp_path, "http://gitlab.example.org/keys")])
    with pytest.raises(ConfigurationError, match="no JWKS"):
        signed_actor({"TIMBRE_ID_TOKEN": signed(key)}, [policy(tmp_path, "gone.json")])


def test_a_server_that_does_not_answer_is_worth_a_retry(
    tmp_path: Path, key: RSAPrivateKey, server: dict[str, Any]
) -> None:
    server["code"] = 503
    with pytest.raises(InfrastructureError, match="503"):
        signed_actor({"TIMBRE_ID_TOKEN": signed(key)}, [policy(tmp_path, server["address"] + "/busy")])


def test_github_is_asked_for_a_token(tmp_path: Path, key: RSAPrivateKey, server: dict[str, Any]) -> None:
    (tmp_path / "keys.json").write_text(json.dumps(key_set(key)))
    claims = {"actor": "grace", "repository": "school/voices", "ref": "refs/heads/main", "sub": "repo:school/voices"}
    gone = dict.fromkeys(("user_login", "user_email", "project_path"))
    server["/token"] = {"value": signed(key, iss=GITHUB, **claims, **gone)}
    environment = {
        "ACTIONS_ID_TOKEN_REQUEST_URL": server["address"] + "/token?x=1",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "t0ken",
    }
    found = signed_actor(environment, [policy(tmp_path, issuer=GITHUB, claims={"repository": "school/voices"})])
    assert found is not None
    assert (found.name, found.proof) == ("grace", f"{GITHUB} school/voices@main")
    assert server["asked"] == [("/token?x=1&audience=timbre", "Bearer t0ken")]


def test_jenkins_says_who_started_the_build(server: dict[str, Any]) -> None:
    jenkins = parse_policy({"jenkins": server["address"]}, "policy")
    build = server["address"] + "/job/voices/job/main/7/"
    causes = [{}, {"causes": [{"shortDescription": "push"}, {"userId": "grace"}]}]
    server["/job/voices/job/main/7/api/json"] = {"building": True, "actions": causes}
    environment = {"BUILD_URL": build, "BRANCH_NAME": "main", "BUILD_USER": "boss", "TIMBRE_JENKINS_AUTH": "ci:secret"}
    found = signed_actor(environment, [jenkins])
    assert found is not None
    assert (found.login, found.place) == ("grace", "voices@main")
    assert server["asked"][0][1] == "Basic Y2k6c2VjcmV0"
    forged = signed_actor({**environment, "BRANCH_NAME": "release"}, [jenkins])
    assert forged is not None
    assert forged.place == "voices/main@", "the variable names no branch that the job is not of"
    server["/job/voices/job/main/7/api/json"]["building"] = False
    with pytest.raises(ConfigurationError, match="not running"):
        signed_actor(environment, [jenkins])
    with pytest.raises(ConfigurationError, match="no build of"):
        signed_actor({"BUILD_URL": "https://evil.example.org/job/1/"}, [jenkins])


def published_within(folder: Path, build: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Registry, str]:
    """A registry with a version that waits, in the environment of a Jenkins build; policy.yaml is there already."""
    registry = open_registry(RegistryAddress(str(folder / "registry"), {}))
    version = registry.publish(make_manifest(), make_files(), actor=Actor("ada")).version
    given = {"BUILD_URL": build, "BRANCH_NAME": "main", "TIMBRE_POLICY": str(folder / "policy.yaml")}
    for name, value in {**given, "TIMBRE_REGISTRY": str(folder / "registry")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    return registry, version


def test_an_approval_on_jenkins_is_of_who_answered_and_not_of_who_started_the_build(
    tmp_path: Path, server: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    build = server["address"] + "/job/voices/job/main/7/"
    server["/job/voices/job/main/7/api/json"] = {"building": True, "actions": [{"causes": [{"userId": "grace"}]}]}
    (tmp_path / "policy.yaml").write_text(
        yaml.safe_dump({"jenkins": server["address"], "approve": ["claimed:clara"], "review": ["*"]})
    )
    registry, version = published_within(tmp_path, build, monkeypatch)
    assert call(["promote", "ada", version, "--approve"]) == 40, "the policy names nobody of the name grace"
    monkeypatch.setenv("TIMBRE_BY", "clara")
    assert call(["promote", "ada", version, "--approve"]) == 0
    event = registry.history("ada")[-1]
    assert (event.actor, event.approved_by, event.proof) == ("clara", "clara", "claimed")


ANSWERED = "org.jenkinsci.plugins.workflow.support.steps.input.ApproverAction"


def test_jenkins_confirms_who_answered_an_input_step(
    tmp_path: Path, server: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    build = server["address"] + "/job/voices/job/main/7/"
    answer = {"_class": ANSWERED, "userId": "clara"}
    others = [{}, None, {"causes": [{"userId": "grace"}]}, {"_class": "example.Other", "userId": "mallory"}]
    server["/job/voices/job/main/7/api/json"] = {"building": True, "actions": [*others, answer]}
    (tmp_path / "policy.yaml").write_text(
        yaml.safe_dump({"jenkins": server["address"], "approve": ["clara", "mallory", "grace"], "review": ["*"]})
    )
    registry, version = published_within(tmp_path, build, monkeypatch)
    # Named by the Jenkinsfile alone: nobody, who started the build, and a name in another action of it.
    for name in ("boss", "grace", "mallory", "Clara"):
        monkeypatch.setenv("TIMBRE_BY", name)
        assert call(["promote", "ada", version, "--approve"]) == 40
    monkeypatch.setenv("TIMBRE_BY", "clara")
    assert call(["promote", "ada", version, "--approve"]) == 0
    event = registry.history("ada")[-1]
    assert (event.actor, event.approved_by) == ("clara", "clara")
    assert event.proof == f"{server['address']} voices@main"
    server["/job/voices/job/main/7/api/json"]["building"] = False
    assert call(["promote", "ada", version, "--approve"]) == 40, "an answer to a build that ended"


def test_who_answered_on_a_jenkins_that_no_policy_names_is_claimed(server: dict[str, Any]) -> None:
    server["/job/voices/1/api/json"] = {"building": True, "actions": [{"_class": ANSWERED, "userId": "clara"}]}
    environment = {"BUILD_URL": server["address"] + "/job/voices/1/"}
    assert answering_actor(environment, [Policy()], "clara") is None
    assert answering_actor({}, [parse_policy({"jenkins": server["address"]}, "policy")], "clara") is None
    assert server["asked"] == []


def test_a_run_acts_for_the_signed_identity(tmp_path: Path, key: RSAPrivateKey) -> None:
    (tmp_path / "voices").mkdir()
    (tmp_path / "keys.json").write_text(json.dumps(key_set(key)))
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump({"identities": [{"issuer": GITLAB, "keys": "keys.json"}]}))
    environment = {
        "TIMBRE_POLICY": str(tmp_path / "policy.yaml"),
        "TIMBRE_ID_TOKEN": signed(key),
        "CI_COMMIT_AUTHOR": "Boss <boss@example.org>",
    }
    origin = Invocation(tmp_path, environment=environment).origin()
    assert (origin.author, origin.actor, origin.proof) == ("Boss <boss@example.org>", *NAMED)
    environment["TIMBRE_ID_TOKEN"] = ""
    origin = Invocation(tmp_path, environment=environment).origin()
    assert (origin.actor, origin.proof) == ("", "claimed")
