"""Weight files that are pulled, locked by digest and looked up by role: the part that bases and tools share.

A tool (weights.yaml) is weights that the pipeline uses and no voice is trained on, such as those of a denoiser. Weights
are either in the folder itself (`weights: here`) or pulled into `<weights root>/<name>/` (`weights: pulled`).
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from timbre.core.errors import ConfigurationError

TOOL_FILE = "weights.yaml"
DEFAULT_WEIGHTS_ROOT = Path(".timbre") / "bases"

_ROLE = re.compile(r"[a-z][a-z0-9_]*")
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REVISION = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Hub:
    """A repository of the Hugging Face Hub. revision: a full commit id, None until the first pull locks it."""

    repo: str
    revision: str | None = None


@dataclass(frozen=True)
class BaseFile:
    """One file of a base.

    role: what it is used for, one of the constants above or the base's own.
    path: relative to the weights folder, with forward slashes; also the path in the Hub repository.
    sha256: None until the first pull locks it. url: where it comes from when not from the Hub repository.
    """

    role: str
    path: str
    sha256: str | None = None
    url: str | None = None


@dataclass(frozen=True)
class Licence:
    """what: the part it covers. name: SPDX identifier where there is one. source: where it is stated."""

    what: str
    name: str
    source: str = ""


@dataclass(frozen=True)
class Tool:
    """Weights that are not a base (weights.yaml): a name, files, where they come from, licences.

    weights_root: folder of pulled weights on this machine; no property of the tool.
    """

    folder: Path
    name: str
    files: tuple[BaseFile, ...]
    weights: str = "pulled"
    hub: Hub | None = None
    licences: tuple[Licence, ...] = ()
    description: str = ""
    weights_root: Path = field(default=DEFAULT_WEIGHTS_ROOT, compare=False, kw_only=True)

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
    common, rest = read_common(path, folder)
    for key in rest:
        refuse_key(path, key, {f.name for f in fields(Tool)} - {"folder", "weights_root"})
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


def read_common(path: Path, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Splits the file at path into the checked fields that bases and tools share, and the rest."""
    try:
        plain = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}", "correct the file") from error
    if not isinstance(plain, dict):
        raise ConfigurationError(f"{path}: is not a mapping", "correct the file")
    for key in ("name", "files"):
        if key not in plain:
            raise ConfigurationError(f"{path}: {key}: missing", "add it")
    name = plain.pop("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(f"{path}: name: {name!r} is not lower-case letters, digits, dots, dashes", "rename")
    hub = plain.pop("hub", None)
    common: dict[str, Any] = {
        "folder": folder,
        "name": name,
        "description": str(plain.pop("description", "")),
        "weights": choice(path, "weights", plain.pop("weights", "pulled"), ("here", "pulled")),
        "hub": _hub(path, hub) if hub is not None else None,
        "files": tuple(_file(path, item) for item in listed(path, "files", plain.pop("files"))),
        "licences": tuple(_licence(path, item) for item in listed(path, "licences", plain.pop("licences", []))),
    }
    for key in ("role", "path"):
        values = [getattr(item, key) for item in common["files"]]
        for value in values:
            if values.count(value) > 1:
                raise ConfigurationError(f"{path}: files: {key} {value!r} is listed twice", "keep one of them")
    return common, plain


def _file(path: Path, item: Any) -> BaseFile:
    known = {f.name for f in fields(BaseFile)}
    if not isinstance(item, dict) or not {"role", "path"} <= set(item):
        raise ConfigurationError(f"{path}: files: {item!r} has no role or no path", "give both")
    for key in item:
        if key not in known:
            refuse_key(path, f"files.{key}", known)
    made = BaseFile(**item)
    if not isinstance(made.role, str) or not _ROLE.fullmatch(made.role):
        raise ConfigurationError(f"{path}: files: role {made.role!r} is not lower-case letters and _", "rename it")
    parts = Path(str(made.path)).parts
    if not isinstance(made.path, str) or not parts or made.path.startswith("/") or ".." in parts or "\\" in made.path:
        raise ConfigurationError(f"{path}: files: path {made.path!r} leaves the folder", "give a relative path")
    if made.sha256 is not None and not (isinstance(made.sha256, str) and _SHA256.fullmatch(made.sha256)):
        raise ConfigurationError(f"{path}: files: sha256 {made.sha256!r} is not 64 hex digits", "write null or it")
    return made


def _hub(path: Path, item: Any) -> Hub:
    if not isinstance(item, dict) or set(item) - {"repo", "revision"} or not isinstance(item.get("repo"), str):
        raise ConfigurationError(f"{path}: hub: {item!r} is not repo and revision", "give repo: owner/name, revision")
    made = Hub(**item)
    if made.revision is not None and not (isinstance(made.revision, str) and _REVISION.fullmatch(made.revision)):
        raise ConfigurationError(
            f"{path}: hub.revision: {made.revision!r} is not a full commit id (40 hex digits)",
            "write null and let the first pull lock it",
        )
    return made


def _licence(path: Path, item: Any) -> Licence:
    if not isinstance(item, dict) or not {"what", "name"} <= set(item) or set(item) - {"what", "name", "source"}:
        raise ConfigurationError(f"{path}: licences: {item!r} is not what, name and source", "give what and name")
    return Licence(**item)


def listed(path: Path, key: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ConfigurationError(f"{path}: {key}: {value!r} is not a list", "write a list")
    return value


def choice(path: Path, key: str, value: Any, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise ConfigurationError(f"{path}: {key}: {value!r} is none of {', '.join(choices)}", "use one of them")
    return str(value)


def refuse_key(path: Path, key: str, known: set[str]) -> None:
    near = difflib.get_close_matches(key.rsplit(".", 1)[-1], sorted(known), n=1)
    raise ConfigurationError(
        f"{path}: {key}: unknown key", f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
    )
