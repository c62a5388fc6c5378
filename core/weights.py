"""Weight files that are pulled, locked by digest and looked up by role: the part that bases and tools share.

A tool (weights.yaml) is weights that the pipeline uses and no voice is trained on, such as those of a denoiser. Weights
are either in the folder itself (`weights: here`) or pulled into `<weights root>/<name>/` (`weights: pulled`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from timbre.core.errors import ConfigurationError
from timbre.core.packaged import DEFAULT_WEIGHTS_ROOT
from timbre.core.problems import Problem, configuration_error, shown, unknown_key
from timbre.core.yaml_document import read_mapping

TOOL_FILE = "weights.yaml"

_ROLE = re.compile(r"[a-z][a-z0-9_]*")
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REVISION = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Hub:
    """A repository of the Hugging Face Hub."""

    repo: str
    """OWNER/NAME on the Hub."""
    revision: str | None = None
    """A full commit id, None until the first pull locks it."""


@dataclass(frozen=True)
class BaseFile:
    """One file of a base."""

    role: str
    """What it is used for, one of the constants above or the base's own."""
    path: str
    """Relative to the weights folder, with forward slashes; also the path in the Hub repository."""
    sha256: str | None = None
    """None until the first pull locks it."""
    url: str | None = None
    """Where it comes from when not from the Hub repository."""


@dataclass(frozen=True)
class Licence:
    """Licence of a part of the weights."""

    what: str
    """The part it covers."""
    name: str
    """SPDX identifier where there is one."""
    source: str = ""
    """Where it is stated."""


@dataclass(frozen=True)
class Tool:
    """Weights that are not a base (weights.yaml)."""

    folder: Path
    """Holds the YAML file, and the weights too where `weights` is "here"."""
    name: str
    """Name of the folder under bases/ and under the weights root."""
    files: tuple[BaseFile, ...]
    """At most one for each role and each path."""
    weights: str = "pulled"
    """"here" (in `folder`, part of the repository) or "pulled" (below the weights root)."""
    hub: Hub | None = None
    """Source of the files that have no URL of their own; None where each has one, or where they lie in `folder`."""
    licences: tuple[Licence, ...] = ()
    """Of each part; the model card of a version lists them."""
    description: str = ""
    """One line for the list of `timbre base`; no part of the digest."""
    weights_root: Path = field(default=DEFAULT_WEIGHTS_ROOT, compare=False, kw_only=True)
    """Folder of pulled weights on this machine; no property of the tool."""

    @property
    def spec_path(self) -> Path:
        """The YAML file that this was read from."""
        return self.folder / TOOL_FILE

    @property
    def locked(self) -> bool:
        """True when every file has its SHA-256."""
        return all(item.sha256 for item in self.files)

    def weights_dir(self, weights_root: Path | None = None) -> Path:
        """Folder that holds the files. weights_root: another folder of pulled weights."""
        if self.weights == "here":
            return self.folder
        return (weights_root or self.weights_root) / self.name

    def file(self, role: str) -> BaseFile:
        """The file with this role. Raises ConfigurationError when there is none."""
        for item in self.files:
            if item.role == role:
                return item
        raise ConfigurationError(
            f"{self.spec_path}: files: no file with role {role!r} (there are: {', '.join(i.role for i in self.files)})",
            "use a base that has this part, or add the file to the list",
        )

    def has(self, role: str) -> bool:
        """True when a file with this role is listed."""
        return any(item.role == role for item in self.files)

    def file_path(self, role: str, weights_root: Path | None = None) -> Path:
        """Where the file with this role lies on disk. Raises ConfigurationError when it is not there yet."""
        path = self.weights_dir(weights_root) / self.file(role).path
        if not path.is_file():
            raise ConfigurationError(f"{path}: missing ({role} of {self.name})", f"run: timbre base pull {self.name}")
        return path


def list_tools(bases_dir: Path = Path("bases")) -> list[str]:
    """Names of the tools under bases_dir, sorted."""
    return sorted(path.parent.name for path in bases_dir.glob(f"*/{TOOL_FILE}"))


def read_tool(folder: Path, weights_root: Path = DEFAULT_WEIGHTS_ROOT) -> Tool:
    """Reads and checks folder/weights.yaml. weights_root: as Tool has it. Raises ConfigurationError."""
    path = folder / TOOL_FILE
    common, rest, problems = read_common(path, folder)
    problems += [
        unknown_key(str(path), key, {f.name for f in fields(Tool)} - {"folder", "weights_root"}) for key in rest
    ]
    if problems:
        raise configuration_error(problems, str(path))
    return Tool(**common, weights_root=weights_root)


def tool_to_plain(tool: Tool) -> dict[str, Any]:
    """The part of the mapping that bases and tools share, keys in reading order."""
    plain: dict[str, Any] = {"weights": tool.weights}
    if tool.hub:
        plain["hub"] = {"repo": tool.hub.repo, "revision": tool.hub.revision}
    plain["files"] = [
        {"role": i.role, "path": i.path, "sha256": i.sha256} | ({"url": i.url} if i.url else {}) for i in tool.files
    ]
    plain["licences"] = [{"what": i.what, "name": i.name, "source": i.source} for i in tool.licences]
    return plain


def read_common(path: Path, folder: Path) -> tuple[dict[str, Any], dict[str, Any], list[Problem]]:
    """Splits the file at path into the fields that bases and tools share, and the rest; with what is wrong with the
    former. Raises ConfigurationError when the file is no YAML mapping.
    """
    plain, problems = read_mapping(path, "restore the file; docs/extending.md shows one")
    if plain is None:
        raise configuration_error(problems, str(path))
    name, hub = plain.pop("name", None), plain.pop("hub", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        limit = "lower-case letters, digits, dots and dashes"
        problems.append(Problem(f"{path}: name", _found(name), limit, "name it after its folder"))
    files = listed(path, "files", plain.pop("files", None), problems)
    licences = listed(path, "licences", plain.pop("licences", []), problems)
    common: dict[str, Any] = {
        "folder": folder,
        "name": name,
        "description": str(plain.pop("description", "")),
        "weights": choice(path, "weights", plain.pop("weights", "pulled"), ("here", "pulled"), problems),
        "hub": _hub(path, hub, problems) if hub is not None else None,
        "files": tuple(file for item in files if (file := _file(path, item, problems))),
        "licences": tuple(licence for item in licences if (licence := _licence(path, item, problems))),
    }
    for key in ("role", "path"):
        values = [getattr(item, key) for item in common["files"]]
        for value in sorted({str(value) for value in values if values.count(value) > 1}):
            problems.append(Problem(f"{path}: files", f"{key} {value!r} is listed twice", "once", "keep one of them"))
    return common, plain, problems


def _file(path: Path, item: Any, problems: list[Problem]) -> BaseFile | None:
    known = {f.name for f in fields(BaseFile)}
    where = f"{path}: files"
    if not isinstance(item, dict) or not {"role", "path"} <= set(item):
        problems.append(Problem(where, shown(item), "a mapping with role and path", "give both"))
        return None
    unknown = [unknown_key(where, key, known) for key in item if key not in known]
    problems += unknown
    made = BaseFile(**{key: value for key, value in item.items() if key in known})
    if not isinstance(made.role, str) or not _ROLE.fullmatch(made.role):
        problems.append(Problem(where, f"role {made.role!r}", "lower-case letters, digits and _", "rename the role"))
    parts = Path(str(made.path)).parts
    if not isinstance(made.path, str) or not parts or made.path.startswith("/") or ".." in parts or "\\" in made.path:
        limit = "a path in the folder of weights"
        problems.append(Problem(where, f"path {made.path!r} leaves the folder", limit, "give a relative path"))
    if made.sha256 is not None and not (isinstance(made.sha256, str) and _SHA256.fullmatch(made.sha256)):
        limit = "null, or 64 hex digits"
        problems.append(Problem(where, f"sha256 {made.sha256!r}", limit, "write null: the first pull locks it"))
    return made


def _hub(path: Path, item: Any, problems: list[Problem]) -> Hub | None:
    if not isinstance(item, dict) or set(item) - {"repo", "revision"} or not isinstance(item.get("repo"), str):
        limit = "a mapping with repo and revision"
        problems.append(Problem(f"{path}: hub", shown(item), limit, "give repo: owner/name, and revision"))
        return None
    made = Hub(**item)
    if made.revision is not None and not (isinstance(made.revision, str) and _REVISION.fullmatch(made.revision)):
        limit = "null, or a full commit id (40 hex digits)"
        remedy = "write null: the first pull locks it"
        problems.append(Problem(f"{path}: hub.revision", shown(made.revision), limit, remedy))
    return made


def _licence(path: Path, item: Any, problems: list[Problem]) -> Licence | None:
    if not isinstance(item, dict) or not {"what", "name"} <= set(item) or set(item) - {"what", "name", "source"}:
        limit = "a mapping with what, name and source"
        problems.append(Problem(f"{path}: licences", shown(item), limit, "give what and name"))
        return None
    return Licence(**item)


def listed(path: Path, key: str, value: Any, problems: list[Problem]) -> list[Any]:
    """The list under a key; anything else is a problem, and then no item."""
    if isinstance(value, list):
        return value
    problems.append(Problem(f"{path}: {key}", _found(value), "a list", "write one item a line"))
    return []


def choice(path: Path, key: str, value: Any, choices: tuple[str, ...], problems: list[Problem]) -> str:
    """The value of a key; anything but the choices is a problem."""
    if value not in choices:
        problems.append(Problem(f"{path}: {key}", _found(value), f"one of {', '.join(choices)}", "use one of them"))
    return str(value)


def _found(value: Any) -> str:
    return "missing" if value is None else shown(value)
