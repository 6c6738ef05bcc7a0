from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tage.config.directory import DirectoryStore
from tage.config.errors import ConfigError
from tage.config.model import Resource
from tage.config.seeded import SeededStore
from tests.config.samples import resource
from tests.config.test_directory import run, timeout, yaml_files

SEEDS = (resource("a"), resource("b"))


@asynccontextmanager
async def running(path: Path, seeds: Sequence[Resource] = SEEDS) -> AsyncIterator[SeededStore]:
    store = SeededStore(DirectoryStore(path, poll_seconds=0.01), seeds, path / ".deleted")
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


def shown(store: SeededStore) -> dict[str, str]:
    return {resource.metadata.name: timeout(resource) for resource in store.list()}


def test_seeds_are_there_and_not_written(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as store:
            assert shown(store) == {"a": "1s", "b": "1s"}
            assert store.list("DestinationRule") == []
            assert await store.apply([resource("a")]) == [(SEEDS[0].key, "unchanged")]
            assert yaml_files(tmp_path) == []

    run(test)


def test_what_was_applied_wins_and_survives(tmp_path: Path) -> None:
    async def test() -> None:
        changes: list[None] = []
        async with running(tmp_path) as store:
            store.subscribe(lambda: changes.append(None))
            batch = [resource("c"), resource("a", "2s"), resource("b")]
            outcomes = [outcome for _, outcome in await store.apply(batch)]
            assert outcomes == ["created", "configured", "unchanged"]
            assert len(changes) == 1
        async with running(tmp_path, [resource("a", "9s"), resource("b", "9s")]) as store:
            assert shown(store) == {"a": "2s", "b": "9s", "c": "1s"}
            # Back to what the seed once said: it was applied, so it is stored.
            assert [outcome for _, outcome in await store.apply([resource("a")])] == ["configured"]
        async with running(tmp_path, [resource("a", "9s")]) as store:
            assert shown(store) == {"a": "1s", "c": "1s"}

    run(test)


def test_a_deleted_seed_stays_deleted_until_it_is_applied(tmp_path: Path) -> None:
    async def test() -> None:
        changes: list[None] = []
        async with running(tmp_path) as store:
            store.subscribe(lambda: changes.append(None))
            assert await store.delete(*SEEDS[0].key)
            assert not await store.delete(*SEEDS[0].key)
            assert shown(store) == {"b": "1s"}
            assert len(changes) == 1
        async with running(tmp_path) as store:
            assert shown(store) == {"b": "1s"}
            assert [outcome for _, outcome in await store.apply([resource("a")])] == ["created"]
        async with running(tmp_path) as store:
            assert shown(store) == {"a": "1s", "b": "1s"}
            assert await store.delete(*SEEDS[0].key)
        async with running(tmp_path) as store:
            assert shown(store) == {"b": "1s"}

    run(test)


def test_deleting_what_was_applied_over_a_seed_does_not_uncover_it(tmp_path: Path) -> None:
    async def test() -> None:
        changes: list[dict[str, str]] = []
        async with running(tmp_path) as store:
            await store.apply([resource("a", "2s")])
            store.subscribe(lambda: changes.append(shown(store)))
            assert await store.delete(*SEEDS[0].key)
            assert changes == [{"b": "1s"}]
        async with running(tmp_path) as store:
            assert shown(store) == {"b": "1s"}

    run(test)


def test_a_broken_tombstone_file_is_named(tmp_path: Path) -> None:
    async def test() -> None:
        (tmp_path / ".deleted").write_text("x")
        with pytest.raises(ConfigError, match=r"\.deleted: cannot be read"):
            await SeededStore(DirectoryStore(tmp_path), SEEDS, tmp_path / ".deleted").start()
        (tmp_path / ".deleted").unlink()
        async with running(tmp_path):
            pass

    run(test)


def test_seeds_must_differ(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there twice"):
        SeededStore(DirectoryStore(tmp_path), [SEEDS[0], SEEDS[0]], tmp_path / ".deleted")
