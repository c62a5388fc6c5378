"""Who a CI job is, by what its server signed or says about it; the operator's policy names whose word counts.

environment, policies -> token (GitLab, GitHub, Jenkins' OpenID Connect) -> signature, audience, time, claims -> Actor
                      -> or the build cause that Jenkins itself states (no token)
a name, policies -> the users who answered input steps of this build, as Jenkins states -> Actor

A token that the policy's servers did not sign is an error: a job that presents one means to be believed.
"""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from timbre.core.errors import ConfigurationError, InfrastructureError
from timbre.core.printable import printable
from timbre.registry.actor import Actor
from timbre.registry.policy import Issuer, Policy

TOKEN = "TIMBRE_ID_TOKEN"
JENKINS_AUTH = "TIMBRE_JENKINS_AUTH"
_TOKENS = (TOKEN, "CI_JOB_JWT_V2", "CI_JOB_JWT")
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")
# Jenkins adds one to the build, for the user who is logged in, when an input step is answered.
_ANSWERED = "org.jenkinsci.plugins.workflow.support.steps.input.ApproverAction"
_LEEWAY_S = 60
_TIMEOUT_S = 10
# Login, address, project and reference by the claims of GitLab, GitHub and Gitea Actions.
_LOGIN = ("user_login", "actor", "preferred_username")
_ADDRESS = ("user_email", "email")
_PROJECT = ("project_path", "repository")


def signed_actor(environment: Mapping[str, str], policies: Iterable[Policy]) -> Actor | None:
    """The actor by a checked token or by Jenkins' build cause; None where there is neither, or no policy counts it.

    Raises ConfigurationError for a token that is not valid, InfrastructureError when keys, token or cause cannot be
    fetched.
    """
    policies = tuple(policies)
    issuers = [(issuer, policy) for policy in policies for issuer in policy.identities]
    token = _token(environment, issuers) if issuers else ""
    if token:
        return _checked(token, issuers)
    jenkins = _jenkins(environment, policies)
    return _jenkins_cause(environment, jenkins) if jenkins else None


def answering_actor(environment: Mapping[str, str], policies: Iterable[Policy], who: str) -> Actor | None:
    """The actor of that name where Jenkins says that this user answered an input step of this running build; None
    where it does not, or is not asked. Which question it was Jenkins does not say. Raises as signed_actor.
    """
    jenkins = _jenkins(environment, tuple(policies))
    if not jenkins:
        return None
    found, place = _jenkins_build(environment, jenkins)
    answered = {
        str(action.get("userId"))
        for action in found.get("actions", [])
        if action and str(action.get("_class", "")) == _ANSWERED
    }
    return Actor(_one_line(who), None, place) if who in answered else None


def _jenkins(environment: Mapping[str, str], policies: tuple[Policy, ...]) -> str:
    """Address of the Jenkins that the policies trust and that this is a job of, or ""."""
    return next((policy.jenkins for policy in policies if policy.jenkins), "") if environment.get("BUILD_URL") else ""


def _token(environment: Mapping[str, str], issuers: list[tuple[Issuer, Policy]]) -> str:
    found = next((environment[name].strip() for name in _TOKENS if environment.get(name, "").strip()), "")
    if found:
        return found
    address = environment.get("ACTIONS_ID_TOKEN_REQUEST_URL", "")
    if not address:
        return ""
    audience = urllib.parse.quote(issuers[0][0].audience)
    headers = {"Authorization": f"Bearer {environment.get('ACTIONS_ID_TOKEN_REQUEST_TOKEN', '')}"}
    return str(_fetched(f"{address}&audience={audience}", headers).get("value", ""))


def _checked(token: str, issuers: list[tuple[Issuer, Policy]]) -> Actor:
    import jwt

    known = ", ".join(sorted({issuer.issuer for issuer, _ in issuers}))
    try:
        named = jwt.decode(token, options={"verify_signature": False}).get("iss")
    except jwt.PyJWTError as error:
        raise ConfigurationError(
            f"{TOKEN}: no token ({error})", "let the CI server make it: docs/security.md"
        ) from error
    found = next(((issuer, policy) for issuer, policy in issuers if issuer.issuer == named), None)
    if found is None:
        raise ConfigurationError(f"identity token: signed by {named!r}; the policy trusts {known}", "change the policy")
    issuer, policy = found
    try:
        claims = jwt.decode(
            token,
            _key(token, issuer, Path(policy.where).parent),
            algorithms=list(_ALGORITHMS),
            audience=issuer.audience or None,
            issuer=issuer.issuer,
            leeway=_LEEWAY_S,
            options={"require": ["exp", "iss"], "verify_aud": bool(issuer.audience)},
        )
    except jwt.PyJWTError as error:
        message = f"identity token of {issuer.issuer}: {error}"
        raise ConfigurationError(message, "check the job's id_tokens and the policy's audience and keys") from error
    for name, pattern in issuer.claims.items():
        if not fnmatchcase(str(claims.get(name, "")), pattern):
            message = f"identity token of {issuer.issuer}: {name} is {printable(str(claims.get(name)))}"
            raise ConfigurationError(message, f"{policy.where} asks for {pattern}")
    return _actor(claims, issuer.issuer)


def _actor(claims: Mapping[str, Any], issuer: str) -> Actor:
    # Angle brackets separate the address from the name.
    login, address = (_first(claims, names).translate({60: None, 62: None}) for names in (_LOGIN, _ADDRESS))
    project = _first(claims, _PROJECT) or str(claims.get("sub", ""))
    reference = str(claims.get("ref", "")).removeprefix("refs/heads/")
    if claims.get("ref_type") == "tag":
        reference = f"tag:{reference}"
    name = f"{login or project} <{address}>" if address else login or project
    return Actor(_one_line(name), None, f"{_one_line(issuer)} {_one_line(project)}@{_one_line(reference)}")


def _key(token: str, issuer: Issuer, beside: Path) -> Any:
    import jwt

    if "://" in issuer.keys:
        keys = _fetched(issuer.keys, {}, secure=True)
    else:
        try:
            keys = json.loads((beside / issuer.keys).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            message = f"{beside / issuer.keys}: no JWKS ({error})"
            raise ConfigurationError(message, f"save the keys of {issuer.issuer} there") from error
    wanted = jwt.get_unverified_header(token).get("kid")
    for key in jwt.PyJWKSet.from_dict(keys).keys:
        if wanted is None or key.key_id == wanted:
            return key
    raise ConfigurationError(f"{issuer.keys}: has no key {printable(str(wanted))}", "save the server's present keys")


def _jenkins_cause(environment: Mapping[str, str], jenkins: str) -> Actor:
    """Who started this build, asked of Jenkins: variables of a build can be set by its Jenkinsfile."""
    found, place = _jenkins_build(environment, jenkins)
    causes = [cause for action in found.get("actions", []) for cause in (action or {}).get("causes", [])]
    login = next((str(cause["userId"]) for cause in causes if cause.get("userId")), "")
    project = place.partition(" ")[2].rpartition("@")[0]
    return Actor(_one_line(login) or project, None, place)


def _jenkins_build(environment: Mapping[str, str], jenkins: str) -> tuple[dict[str, Any], str]:
    """What Jenkins says of this build, which must be running, and its proof: address, project and branch."""
    build = environment["BUILD_URL"]
    if not build.startswith(jenkins.rstrip("/") + "/"):
        raise ConfigurationError(f"BUILD_URL: {printable(build)} is no build of {jenkins}", "change the policy")
    auth = environment.get(JENKINS_AUTH, "")
    headers = {"Authorization": "Basic " + base64.b64encode(auth.encode()).decode()} if auth else {}
    tree = "building,actions[userId,causes[userId,userName]]"
    found = _fetched(f"{build.rstrip('/')}/api/json?tree={tree}", headers)
    if not found.get("building"):
        raise ConfigurationError(f"BUILD_URL: {printable(build)} is not running", "name the build that this is")
    job = urllib.parse.unquote(build.removeprefix(jenkins.rstrip("/") + "/")).rstrip("/").rpartition("/")[0]
    project = job.removeprefix("job/").replace("/job/", "/")
    branch = environment.get("BRANCH_NAME", "")
    # Of a multibranch project the last part of the job's name is the branch, whatever the variable says.
    project, _, named = project.rpartition("/") if branch and project.endswith(f"/{branch}") else (project, "", "")
    return found, f"{jenkins.rstrip('/')} {_one_line(project)}@{_one_line(named)}"


def _fetched(address: str, headers: Mapping[str, str], secure: bool = False) -> dict[str, Any]:
    """A JSON object. secure: what comes is believed, so that it needs https, as credentials do."""
    host = urllib.parse.urlsplit(address)
    here = host.hostname in ("127.0.0.1", "localhost", "::1") and host.scheme == "http"
    if host.scheme != "https" and not here and (secure or headers or host.scheme != "http"):
        raise ConfigurationError(f"{printable(address)}: keys and credentials need https", "use an https address")
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=dict(headers)), timeout=_TIMEOUT_S) as got:
            found = json.load(got)
    except urllib.error.HTTPError as error:
        if error.code in (401, 403, 404):
            raise ConfigurationError(
                f"{host.hostname}: answers {error.code}", "check its address and credentials"
            ) from (error)
        raise InfrastructureError(f"{host.hostname}: answers {error.code}", "run the job again") from error
    except (OSError, ValueError) as error:
        raise InfrastructureError(f"{host.hostname}: {error}", "run the job again") from error
    return found if isinstance(found, dict) else {}


def _first(claims: Mapping[str, Any], names: Iterable[str]) -> str:
    return next((str(claims[name]) for name in names if claims.get(name)), "")


def _one_line(text: str) -> str:
    """A part of a name or proof: printable."""
    return printable(text).strip()
