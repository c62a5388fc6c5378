"""Where weight files come from: a folder, the Hugging Face Hub, or plain URLs.

Source.fetch(file, folder) -> folder/<file.path>; sha256 and size as far as the source states them beforehand.
"""

from __future__ import annotations

import shutil
import urllib.error
import urllib.request
from collections import Counter
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from core.errors import ConfigurationError, InfrastructureError
from core.weights import BaseFile, Tool

_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 60


class Source(Protocol):
    """label: for messages. revision: the full commit id of a repository, where there is one."""

    label: str

    @property
    def revision(self) -> str | None: ...

    def sha256(self, item: BaseFile) -> str | None:
        """What the source says the digest is; None when it does not say."""

    def size(self, item: BaseFile) -> int | None:
        """What the source says the size in bytes is; None when it does not say."""

    def fetch(self, item: BaseFile, folder: Path) -> None:
        """Puts the file at folder/item.path. Raises OSError when the disk refuses, and errors of core.errors."""


class FolderSource:
    """Files that somebody carried here."""

    revision = None

    def __init__(self, folder: Path, files: tuple[BaseFile, ...]) -> None:
        self.label = str(folder)
        self._folder = folder
        names = Counter(PurePosixPath(item.path).name for item in files)
        self._unique = {name for name, count in names.items() if count == 1}

    def sha256(self, item: BaseFile) -> str | None:
        return None

    def size(self, item: BaseFile) -> int | None:
        return None

    def fetch(self, item: BaseFile, folder: Path) -> None:
        name = PurePosixPath(item.path).name
        candidates = [self._folder / item.path] + ([self._folder / name] if name in self._unique else [])
        for path in candidates:
            if path.is_file():
                part = folder / f"{item.path}.part"
                shutil.copyfile(path, part)
                part.replace(folder / item.path)
                return
        raise ConfigurationError(
            f"{self._folder}: {' and '.join(str(p.relative_to(self._folder)) for p in candidates)} not there",
            f"copy the file ({item.role}) there and run again",
        )


class HubSource:
    """A repository of the Hub, at one commit. revision None: the newest now, and then no other for this pull."""

    def __init__(self, repo: str, revision: str | None) -> None:
        self._repo = repo
        self._wanted = revision
        self.label = f"the Hub repository {repo}"

    @property
    def revision(self) -> str | None:
        revision: str | None = self._wanted or self._info.sha
        return revision

    @cached_property
    def _info(self) -> Any:
        from huggingface_hub import HfApi

        return self._ask(
            lambda: HfApi().model_info(self._repo, revision=self._wanted, files_metadata=True, timeout=_TIMEOUT_S), ""
        )

    @cached_property
    def _siblings(self) -> dict[str, Any]:
        return {sibling.rfilename: sibling for sibling in self._info.siblings or []}

    def sha256(self, item: BaseFile) -> str | None:
        lfs = getattr(self._siblings.get(item.path), "lfs", None)
        return lfs.sha256 if lfs else None

    def size(self, item: BaseFile) -> int | None:
        return getattr(self._siblings.get(item.path), "size", None)

    def fetch(self, item: BaseFile, folder: Path) -> None:
        from huggingface_hub import hf_hub_download

        self._ask(
            lambda: hf_hub_download(
                self._repo, item.path, revision=self.revision, local_dir=folder, etag_timeout=_TIMEOUT_S
            ),
            item.path,
        )

    def _ask(self, call: Any, path: str) -> Any:
        """call(), with the errors of the client told apart: what the operator must mend, and what a retry may cure."""
        from huggingface_hub import errors

        what = f"{self._repo}: {path}" if path else self._repo
        try:
            return call()
        except errors.LocalEntryNotFoundError as error:
            raise _unreachable(what, error) from error
        except (errors.GatedRepoError, errors.RepositoryNotFoundError) as error:
            raise ConfigurationError(
                f"{what}: the Hub says that it does not exist or may not be read with these credentials",
                "check the name, and `hf auth login` or HF_TOKEN",
            ) from error
        except (errors.RevisionNotFoundError, errors.EntryNotFoundError) as error:
            raise ConfigurationError(
                f"{what}: not in the repository at revision {self._wanted or 'main'}",
                "check base.yaml; a removed file can still come from a copy: --from DIR",
            ) from error
        except errors.HfHubHTTPError as error:
            status = getattr(error.response, "status_code", 0)
            if status in (401, 403):
                raise ConfigurationError(f"{what}: the Hub answered {status}", "check HF_TOKEN") from error
            raise _unreachable(what, error) from error
        except OSError as error:
            if getattr(error, "errno", None):
                raise
            raise _unreachable(what, error) from error
        except Exception as error:
            # The HTTP library of the client changed between its versions; its errors share no class but Exception.
            if type(error).__module__.split(".")[0] in ("httpx", "httpx2", "httpcore", "requests", "urllib3"):
                raise _unreachable(what, error) from error
            raise


class UrlSource:
    """Plain downloads, one URL a file, resumed by byte range."""

    revision = None

    def __init__(self, tool: Tool) -> None:
        without = [item.path for item in tool.files if not item.url]
        if without:
            raise ConfigurationError(
                f"{tool.spec_path}: {', '.join(without)}: no Hub repository and no url says where to get it",
                f"get the files and run: timbre base pull {tool.name} --from DIR",
            )
        self.label = ", ".join(str(item.url) for item in tool.files)

    def sha256(self, item: BaseFile) -> str | None:
        return None

    def size(self, item: BaseFile) -> int | None:
        return None

    def fetch(self, item: BaseFile, folder: Path) -> None:
        url = str(item.url)
        if not url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
            raise ConfigurationError(f"{item.path}: url {url!r} is not https", "correct the url")
        part = folder / f"{item.path}.part"
        have = part.stat().st_size if part.is_file() else 0
        request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
                resumed = answer.status == 206
                length = int(answer.headers.get("Content-Length") or -1)
                with part.open("ab" if resumed else "wb") as file:
                    start = file.tell()
                    while chunk := answer.read(_CHUNK_BYTES):
                        file.write(chunk)
                    received = file.tell() - start
            if length >= 0 and received != length:
                raise _unreachable(url, EOFError(f"{received} of {length} bytes came"))
        except urllib.error.HTTPError as error:
            if error.code == 416:  # the part is longer than the file: it is of another file
                part.unlink()
                raise _unreachable(url, error) from error
            if error.code in (401, 403, 404, 410):
                raise ConfigurationError(
                    f"{url}: answered {error.code}", "get the file elsewhere and pull with --from DIR"
                ) from error
            raise _unreachable(url, error) from error
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            raise _unreachable(url, error) from error
        part.replace(folder / item.path)


def _unreachable(what: str, error: BaseException) -> InfrastructureError:
    reason = str(error).strip().splitlines() or [type(error).__name__]
    return InfrastructureError(
        f"{what}: not reachable: {reason[0]}",
        "run again: it goes on where it stopped. Without network: timbre base pull NAME --from DIR",
    )
