"""A store in a repository of the Hugging Face Hub. Every write is a commit on top of a commit that was looked at.

The Hub compares the parent of a commit (412 when the branch moved on): a write looks whether its condition holds at the
branch's head, commits on that head, and looks again when others were first. Files of one version go into one commit
(batch), and the version gets a tag. Entity tags are those of Git or LFS. Reads are of one commit each.
"""

from __future__ import annotations

import builtins
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
)
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

from timbre.core.errors import ConfigurationError, InfrastructureError
from timbre.registry.errors import ConflictError
from timbre.registry.store import Stored, check_key
from timbre.registry.stores.hub_card import CARD, card_of
from timbre.registry.stores.hub_errors import attempted, status_of
from timbre.registry.stores.hub_options import HubPlace

T = TypeVar("T")
_NOTHING: dict[str, bytes] = {}


class HubStore:
    """Store over the files of one branch of a model repository, which is created at the first write."""

    def __init__(self, place: HubPlace, sleep: Callable[[float], None] = time.sleep) -> None:
        self._place = place
        self._sleep = sleep
        self._made: Any = None
        self._open = threading.local()

    @property
    def url(self) -> str:
        """hf://owner/name."""
        return self._place.url

    @property
    def can_compare_and_swap(self) -> bool:
        """Always true: the Hub refuses a commit whose parent is not the branch's head."""
        return True

    def get(self, key: str) -> Stored | None:
        """The file at the branch's head, or None; None too while there is no repository."""
        check_key(key)
        if (waiting := self._waiting()) and key in waiting:
            return Stored(waiting[key], _git_oid(waiting[key]))
        return self._ask(lambda: self._read(key), f"read {key}", absent=None)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Commits a new file; False when the head has one under this key. Inside a batch it is committed at its end."""
        check_key(key)
        if (waiting := self._waiting()) is not None:
            if key in waiting or self._oids([key], self._head()):
                return False
            waiting[key] = data
            return True
        return bool(self._commit({key: data}, f"Add {key}", lambda oids: key not in oids))

    def replace_if(self, key: str, data: bytes, tag: str) -> str | None:
        """Commits new content when the head's file has this tag; the new tag, or None."""
        check_key(key)
        written = self._commit({key: data}, f"Change {key}", lambda oids: oids.get(key) == tag)
        return self._oids([key], written)[key] if written else None

    def list(self, prefix: str) -> Iterator[str]:
        """Sorted files of the head under a folder; the model card and files that start with a dot are not keys."""
        folder = prefix.rstrip("/")
        if folder:
            check_key(folder)

        def paths() -> builtins.list[str]:
            client, options = self._client(), self._place.options
            tree = client.list_repo_tree(
                self._place.repository, folder or None, recursive=True, revision=options.branch
            )
            return [item.path for item in tree if hasattr(item, "blob_id")]

        found = self._ask(paths, f"list {folder or 'it'}", absent=[])
        yield from sorted(path for path in found if path != CARD and "/." not in f"/{path}")

    def delete(self, key: str) -> bool:
        """Commits the file's removal; False when there was none. Earlier commits keep it: the Hub forgets nothing
        until its history is squashed.
        """
        check_key(key)
        return bool(self._commit({}, f"Remove {key}", lambda oids: key in oids, remove=key))

    @contextmanager
    def batch(self, title: str, tag: str = "") -> Iterator[builtins.list[str]]:
        """Collects what put_if_absent writes in the block and commits it at its end; nothing on an error.

        Yields a list that names, after the block, the keys that another writer had written first. tag: put on the
        commit. A manifest among the files renews the model card.
        """
        if self._waiting() is not None:
            raise ValueError("batches of a Hub store do not nest")
        lost: builtins.list[str] = []
        files: dict[str, bytes] = {}
        self._open.files = files
        try:
            yield lost
        finally:
            self._open.files = None
        if not files:
            return

        def rest(oids: dict[str, str]) -> bool:
            for key in [key for key in files if key in oids]:
                del files[key]
                lost.append(key)
            return bool(files)

        written = self._commit(files, title, rest)
        if written and tag:
            client = self._client()
            self._ask(
                lambda: client.create_tag(self._place.repository, tag=tag, revision=written, exist_ok=True),
                f"tag {tag}",
            )

    def _commit(
        self, files: dict[str, bytes], title: str, holds: Callable[[dict[str, str]], bool], *, remove: str = ""
    ) -> str:
        """The id of a commit made while holds(tags of the files at its parent); "" when it does not hold.

        Raises ConflictError when others were first every time.
        """
        client, options = self._client(), self._place.options
        self._create()
        doubtful = False
        for attempt in range(options.attempts):
            head = self._head()
            oids = self._oids([*files, *([remove] if remove else [])], head)
            if doubtful and files and all(oids.get(key) in _oids_of(data) for key, data in files.items()):
                return head  # The answer to an earlier attempt was lost, its commit was not.
            if doubtful and remove and remove not in oids:
                return head
            if not holds(oids):
                return ""
            adds = {**files, **(card_of(files) if not remove else _NOTHING)}
            work: builtins.list[Any] = [CommitOperationAdd(path, data) for path, data in adds.items()]
            work += [CommitOperationDelete(remove)] if remove else []
            try:
                done = attempted(
                    lambda work=work, head=head: client.create_commit(  # type: ignore[misc]
                        self._place.repository, work, commit_message=title, revision=options.branch, parent_commit=head
                    ),
                    f"registry {self.url}: cannot write ({title})", attempts=1, longest_s=0, sleep=self._sleep,
                )  # fmt: skip
                return str(done.oid)
            except HfHubHTTPError as error:
                if status_of(error) not in (409, 412):
                    raise
            except InfrastructureError as error:
                if attempt + 1 == options.attempts:
                    raise
                doubtful = True
                asked = getattr(getattr(error.__cause__, "response", None), "headers", {}).get("Retry-After", "")
                if asked.isdigit() and float(asked) > options.wait_s:
                    raise
                self._sleep(float(asked) if asked.isdigit() else 0.0)
            self._sleep(min(4.0, 0.05 * 2**attempt))
        raise ConflictError(
            f"registry {self.url}: others were first {options.attempts} times in a row ({title})",
            remedy="run the command again",
        )

    def _waiting(self) -> dict[str, bytes] | None:
        """Files of this thread's open batch."""
        return getattr(self._open, "files", None)

    def _client(self) -> Any:
        if self._made is None:
            self._made = HfApi(endpoint=self._place.options.endpoint or None, library_name="timbre")
        return self._made

    def _create(self) -> None:
        client, place = self._client(), self._place
        private = place.options.visibility == "private"
        if self._ask(lambda: client.repo_info(place.repository).sha, "look for the repository", absent="") == "":
            create = lambda: client.create_repo(place.repository, private=private, exist_ok=True)  # noqa: E731
            self._ask(create, "create the repository")

    def _head(self) -> str:
        client, place = self._client(), self._place
        info = lambda: client.repo_info(place.repository, revision=place.options.branch).sha  # noqa: E731
        return str(self._ask(info, "find the branch's head", absent=""))

    def _oids(self, keys: builtins.list[str], commit: str) -> dict[str, str]:
        client = self._client()

        def ask() -> dict[str, str]:
            found = client.get_paths_info(self._place.repository, keys, revision=commit)
            return {item.path: item.lfs.sha256 if item.lfs else item.blob_id for item in found if hasattr(item, "lfs")}

        return self._ask(ask, f"look at {keys[0]}", absent={}) if commit and keys else {}

    def _read(self, key: str) -> Stored:
        options, client = self._place.options, self._client()
        url = hf_hub_url(self._place.repository, key, revision=options.branch, endpoint=options.endpoint or None)
        about = get_hf_file_metadata(url, token=client.token)
        path = hf_hub_download(
            self._place.repository, key, revision=about.commit_hash, endpoint=options.endpoint or None,
            token=client.token, library_name="timbre",
        )  # fmt: skip
        return Stored(Path(path).read_bytes(), str(about.etag))

    def _ask(self, call: Callable[[], T], action: str, **absent: Any) -> T:
        """call() with its failures explained. absent: the answer when the repository, branch or file is not there."""
        options = self._place.options
        what = f"registry {self.url}: cannot {action}"
        try:
            return attempted(call, what, attempts=options.attempts, longest_s=options.wait_s, sleep=self._sleep)
        except (HfHubHTTPError, EntryNotFoundError) as error:
            if status_of(error) == 404 and "absent" in absent:
                return absent["absent"]
            raise ConfigurationError(f"{what}: {error}", remedy="check the registry's address") from error


def _git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _oids_of(data: bytes) -> tuple[str, str]:
    return _git_oid(data), hashlib.sha256(data).hexdigest()
