"""Where weight files come from: a folder, the Hugging Face Hub, or plain URLs.

Source.fetch(file, folder) -> folder/<file.path>; sha256 and size as far as the source states them beforehand.
"""

from __future__ import annotations

import shutil
from collections import Counter
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Protocol
from urllib.parse import urlsplit

from timbre.core.errors import ConfigurationError
from timbre.core.weights import BaseFile, Tool
from timbre.pipeline.bases.resumable_download import TIMEOUT_S, download, unreachable


class Source(Protocol):
    """A place that has the files of a base or tool."""

    label: str
    """Repository, folder or addresses, for messages."""

    @property
    def revision(self) -> str | None:
        """Full commit id of a repository; None for a source without commits."""

    def sha256(self, item: BaseFile) -> str | None:
        """What the source says the digest is; None when it does not say."""

    def size(self, item: BaseFile) -> int | None:
        """What the source says the size in bytes is; None when it does not say."""

    def fetch(self, item: BaseFile, folder: Path) -> None:
        """Puts the file at folder/item.path. Raises OSError when the disk refuses, and errors of timbre.core.errors."""


class FolderSource:
    """A folder of files that the operator copied here."""

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
    """A repository of the Hub, at one commit. revision None: the newest now, and then no other for this pull.

    endpoint: address of the Hub or a mirror; None for the client's own setting (HF_ENDPOINT).
    """

    def __init__(self, repo: str, revision: str | None, endpoint: str | None = None) -> None:
        self._endpoint = endpoint
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
            lambda: HfApi(endpoint=self._endpoint).model_info(
                self._repo, revision=self._wanted, files_metadata=True, timeout=TIMEOUT_S
            ),
            "",
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
        # The client's own download starts from nothing in every process, so it is asked only where the file lies.
        from huggingface_hub import get_hf_file_metadata, hf_hub_url
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

        url = hf_hub_url(self._repo, item.path, revision=self.revision, endpoint=self._endpoint)
        known = self._ask(lambda: get_hf_file_metadata(url, timeout=TIMEOUT_S, endpoint=self._endpoint), item.path)
        # Large files lie on another host, behind a signed address: the token must not travel there.
        same_host = urlsplit(known.location).netloc == urlsplit(url).netloc
        headers = {key: value for key, value in build_hf_headers().items() if same_host or key != "authorization"}
        download(known.location, folder / item.path, headers, f"{self._repo}: {item.path}")

    def _ask(self, call: Any, path: str) -> Any:
        """call(), with client errors classified: what the operator must fix, and what a retry may fix."""
        from huggingface_hub import errors

        what = f"{self._repo}: {path}" if path else self._repo
        try:
            return call()
        except errors.LocalEntryNotFoundError as error:
            raise unreachable(what, error) from error
        except (errors.GatedRepoError, errors.RepositoryNotFoundError) as error:
            raise ConfigurationError(
                f"{what}: it does not exist on the Hub, or these credentials cannot read it",
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
            raise unreachable(what, error) from error
        except OSError as error:
            if getattr(error, "errno", None):
                raise
            raise unreachable(what, error) from error
        except Exception as error:
            # The HTTP library of the client changed between its versions; its errors share no class but Exception.
            if type(error).__module__.split(".")[0] in ("httpx", "httpx2", "httpcore", "requests", "urllib3"):
                raise unreachable(what, error) from error
            raise


class UrlSource:
    """Plain downloads, one URL a file, resumed by byte range."""

    revision = None

    def __init__(self, tool: Tool) -> None:
        without = [item.path for item in tool.files if not item.url]
        if without:
            raise ConfigurationError(
                f"{tool.spec_path}: {', '.join(without)}: neither a Hub repository nor a url is given",
                f"copy the files and run: timbre base pull {tool.name} --from DIR",
            )
        self.label = ", ".join(str(item.url) for item in tool.files)

    def sha256(self, item: BaseFile) -> str | None:
        return None

    def size(self, item: BaseFile) -> int | None:
        return None

    def fetch(self, item: BaseFile, folder: Path) -> None:
        download(str(item.url), folder / item.path)
