"""What every Store must do. A store's test module subclasses StoreBehaviour and provides the fixture `store`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from timbre.core.errors import InputError
from timbre.registry.store import Store, folders_below


class StoreBehaviour:
    """Inherit and define a fixture `store` that gives an empty Store. writers, rounds: how hard the races are."""

    keeps_emptied_folders = False
    """Whether the server lists a folder whose objects are all gone, as SeaweedFS does."""

    writers = 16
    rounds = 50

    def test_absent_objects_are_none(self, store: Store) -> None:
        assert store.get("a/b") is None
        assert store.delete("a/b") is False
        assert list(store.list("")) == []
        assert list(store.list("a/")) == []

    def test_put_if_absent_keeps_the_first(self, store: Store) -> None:
        assert store.put_if_absent("a/b.json", b"one") is True
        assert store.put_if_absent("a/b.json", b"two") is False
        found = store.get("a/b.json")
        assert found is not None
        assert found.data == b"one"

    def test_empty_and_binary_objects_come_back(self, store: Store) -> None:
        data = bytes(range(256)) * 4096
        assert store.put_if_absent("x/empty", b"")
        assert store.put_if_absent("x/binary", data)
        assert store.get("x/empty").data == b""
        assert store.get("x/binary").data == data

    def test_replace_if_compares(self, store: Store) -> None:
        store.put_if_absent("alias", b"1")
        first = store.get("alias")
        assert first is not None
        tag = store.replace_if("alias", b"2", first.tag)
        assert tag
        assert tag != first.tag
        assert store.replace_if("alias", b"3", first.tag) is None
        now = store.get("alias")
        assert now is not None
        assert (now.data, now.tag) == (b"2", tag)

    def test_replace_if_never_creates(self, store: Store) -> None:
        store.put_if_absent("alias", b"1")
        stored = store.get("alias")
        assert stored is not None
        assert store.delete("alias") is True
        assert store.replace_if("alias", b"2", stored.tag) is None
        assert store.get("alias") is None

    def test_list_is_sorted_and_bounded_by_the_folder(self, store: Store) -> None:
        for key in ("voices/b/1", "voices/a/2", "voices/a/1", "voices-other/a", "blobs/x"):
            store.put_if_absent(key, b"")
        assert list(store.list("voices/a/")) == ["voices/a/1", "voices/a/2"]
        assert list(store.list("voices/")) == ["voices/a/1", "voices/a/2", "voices/b/1"]
        assert len(list(store.list(""))) == 5

    def test_folders_hold_objects(self, store: Store) -> None:
        for key in ("voices/b/1", "voices/a/x/2", "voices/c", "voices/d/1", "other/e/1"):
            store.put_if_absent(key, b"")
        store.delete("voices/d/1")
        emptied = ["d"] if self.keeps_emptied_folders else []
        assert folders_below(store, "voices/") == ["a", "b", *emptied]
        assert folders_below(store, "none/") == []

    @pytest.mark.parametrize(
        "key", ["", "/", "a//b", "../a", "a/../b", ".hidden", "a/.tmp", "a b", "a\\b", "a\nb", "a\u0308", "a" * 300]
    )
    def test_keys_that_could_leave_the_store_are_refused(self, store: Store, key: str) -> None:
        for call in (
            store.get,
            store.delete,
            lambda k: store.put_if_absent(k, b""),
            lambda k: store.replace_if(k, b"", "t"),
        ):
            with pytest.raises(InputError, match="key"):
                call(key)

    def test_of_many_creators_one_wins(self, store: Store) -> None:
        with ThreadPoolExecutor(self.writers) as pool:
            for round_ in range(-(-self.rounds // 10)):
                key = f"race/{round_}"
                write = lambda n, key=key: store.put_if_absent(key, str(n).encode())  # noqa: E731
                wins = list(pool.map(write, range(self.writers)))
                found = store.get(f"race/{round_}")
                assert sum(wins) == 1
                assert found is not None
                assert found.data == str(wins.index(True)).encode()

    def test_of_many_writers_with_one_tag_one_wins(self, store: Store) -> None:
        store.put_if_absent("alias", b"start")
        with ThreadPoolExecutor(self.writers) as pool:
            for round_ in range(self.rounds):
                before = store.get("alias")
                assert before is not None
                values = [f"{round_}-{writer}".encode() for writer in range(self.writers)]
                tags = list(pool.map(lambda value, tag=before.tag: store.replace_if("alias", value, tag), values))
                winners = [value for value, tag in zip(values, tags, strict=True) if tag]
                after = store.get("alias")
                assert len(winners) == 1
                assert after is not None
                assert after.data == winners[0]
