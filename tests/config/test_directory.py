from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tage.config import files
from tage.config.directory import DirectoryStore
from tage.config.dump import dump
from tage.config.errors import ConfigError
from tage.config.model import Resource
from tage.config.networking import VirtualService
from tests.config.samples import resource, virtual_service
from tests.config.waiting import until


@asynccontextmanager
async def running(path: Path) -> AsyncIterator[DirectoryStore]:
    store = DirectoryStore(path, poll_seconds=0.01)
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await test()

    asyncio.run(bounded())


def names(store: DirectoryStore) -> list[str]:
    return [resource.metadata.name for resource in store.list()]


def timeout(resource: Resource) -> str:
    assert isinstance(resource.spec, VirtualService)
    return resource.spec.http[0].timeout


def yaml_files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("*.yaml"))


def file_of(directory: Path, name: str) -> Path:
    return directory / f"VirtualService.default.{name}.yaml"


def test_apply_list_delete(tmp_path: Path) -> None:
    async def test() -> None:
        changes: list[int] = []
        async with running(tmp_path / "new" / "config") as store:
            store.subscribe(lambda: changes.append(len(store.list())))
            a, b = resource("a"), resource("b", namespace="a-z")
            assert await store.apply([b, a]) == [(b.key, "created"), (a.key, "created")]
            assert await store.apply([a]) == [(a.key, "unchanged")]
            changed = resource("a", "2s")
            assert await store.apply([changed, b]) == [(a.key, "configured"), (b.key, "unchanged")]
            assert store.list() == store.list("VirtualService") == [b, changed]
            assert store.list("DestinationRule") == []
            assert await store.delete(*a.key)
            assert not await store.delete(*a.key)
            assert not await store.delete("../../etc", "x", "y")
            assert store.list() == [b]
            assert changes == [2, 2, 1]
        async with running(tmp_path / "new" / "config") as store:
            assert store.list() == [b]

    run(test)


def test_a_batch_with_a_key_twice_is_refused(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as store:
            with pytest.raises(ConfigError, match="VirtualService default/a is there twice"):
                await store.apply([resource("a"), resource("b"), resource("a", "2s")])
            assert names(store) == []

    run(test)


def test_names_too_long_for_a_file_are_refused(tmp_path: Path) -> None:
    async def test() -> None:
        long = ".".join(["x" * 60] * 4)
        async with running(tmp_path) as store:
            with pytest.raises(ConfigError, match="choose a shorter name"):
                await store.apply([resource("a"), resource(long)])
            assert names(store) == []
            assert yaml_files(tmp_path) == []

    run(test)


class Crash(Exception):
    pass


@pytest.mark.parametrize("step", ["replace_durably", "sync_directory", "recover"])
def test_a_start_finishes_or_forgets_what_a_crash_interrupted(tmp_path: Path, step: str) -> None:
    """The single steps are counted through in test_files.py; here the store finds what a crash left."""
    batch = [resource("a", "2s"), resource("b", "2s"), resource("c", "2s")]
    calls = iter(range(10))
    real = getattr(files, step)

    def crash(directory: Path, *arguments: Any) -> None:
        if step == "recover" and next(calls) == 0:
            real(directory)  # the first call of a change clears up after others, the second carries the batch out
            return
        raise Crash

    async def test() -> None:
        async with running(tmp_path) as store:
            await store.apply([resource("a"), resource("b")])
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(files, step, crash)
                with pytest.raises(Crash):
                    await store.apply(batch)
        async with running(tmp_path) as store:
            assert list(store.list()) == (batch if step == "recover" else [resource("a"), resource("b")])
            assert {path.name for path in tmp_path.glob(".*")} == {".lock"}  # noqa: ASYNC240

    run(test)


def test_edits_by_hand_are_picked_up(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as store:
            changed = asyncio.Event()
            store.subscribe(changed.set)
            file_of(tmp_path, "a").write_text(virtual_service("a"))
            await until(lambda: names(store) == ["a"])
            assert changed.is_set()
            file_of(tmp_path, "a").write_text(virtual_service("a", "3s"))
            await until(lambda: timeout(store.list()[0]) == "3s")
            file_of(tmp_path, "a").unlink()
            await until(lambda: names(store) == [])

    run(test)


def test_an_edit_just_before_is_what_apply_compares_with(tmp_path: Path) -> None:
    async def test() -> None:
        store = DirectoryStore(tmp_path, poll_seconds=60)
        await store.start()
        try:
            await store.apply([resource("a"), resource("b")])
            file_of(tmp_path, "a").unlink()
            file_of(tmp_path, "c").write_text(virtual_service("c"))
            batch = [resource("a"), resource("c")]
            assert [outcome for _, outcome in await store.apply(batch)] == ["created", "unchanged"]
            assert names(store) == ["a", "b", "c"]
            file_of(tmp_path, "b").unlink()
            assert not await store.delete(*resource("b").key)
        finally:
            await store.stop()

    run(test)


def test_what_is_rewritten_without_change_is_no_change(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as store:
            await store.apply([resource("a")])
            changes: list[None] = []
            store.subscribe(lambda: changes.append(None))
            file_of(tmp_path, "a").write_text("# a comment\n" + dump(resource("a")))
            file_of(tmp_path, "b").write_text(virtual_service("b"))
            await until(lambda: names(store) == ["a", "b"])
            assert len(changes) in (1, 2)  # b may have been seen empty, but never a change of a
            assert timeout(store.list()[0]) == "1s"

    run(test)


def test_a_broken_edit_is_logged_once_and_the_last_good_version_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with running(tmp_path) as store:
            await store.apply([resource("a")])
            files.replace_durably(file_of(tmp_path, "a"), virtual_service("a", "1x").encode())
            await until(lambda: bool(caplog.records))
            files.replace_durably(file_of(tmp_path, "b"), virtual_service("b").encode())
            await until(lambda: names(store) == ["a", "b"])
            assert timeout(store.list()[0]) == "1s"
            assert len(caplog.records) == 1
            message = caplog.records[0].getMessage()
            assert message.startswith(f"{file_of(tmp_path, 'a')}:11: spec.http[0].timeout: '1x' is not a duration")
            assert message.endswith("the last good version stays in force")
            # What is applied now replaces the broken file, even with what is in force.
            assert await store.apply([resource("a")]) == [(resource("a").key, "configured")]
            assert await store.apply([resource("a")]) == [(resource("a").key, "unchanged")]
        async with running(tmp_path) as store:
            assert names(store) == ["a", "b"]

    with caplog.at_level(logging.ERROR, "tage.config.directory"):
        run(test)


def test_files_that_are_named_otherwise_are_pointed_out(tmp_path: Path) -> None:
    async def test() -> None:
        (tmp_path / "routes.yml").write_text(virtual_service("a"))
        file_of(tmp_path, "b").write_text(virtual_service("b") + "---\n" + virtual_service("c"))
        (tmp_path / "README.md").write_text("not a resource")
        with pytest.raises(ConfigError) as caught:
            await DirectoryStore(tmp_path).start()
        assert sorted(str(problem) for problem in caught.value.problems) == [
            f"{file_of(tmp_path, 'b')}:1: must hold one resource, holds 2",
            f"{tmp_path}/routes.yml:1: holds what belongs into a file named VirtualService.default.a.yaml; rename it",
        ]
        # A start that failed has let go of the directory.
        (tmp_path / "routes.yml").unlink()
        file_of(tmp_path, "b").unlink()
        async with running(tmp_path):
            pass

    run(test)


def test_a_second_control_plane_is_kept_out(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path):
            with pytest.raises(ConfigError, match="in use by another control plane"):
                await DirectoryStore(tmp_path).start()
        async with running(tmp_path):
            pass

    run(test)


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be used as a store"):
        run(lambda: DirectoryStore(tmp_path / "file" / "config").start())


def test_a_directory_that_goes_away_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        directory = tmp_path / "config"
        async with running(directory) as store:
            await store.apply([resource("a")])
            os.rename(directory, tmp_path / "aside")
            await until(lambda: bool(caplog.records))
            assert names(store) == ["a"]
            with pytest.raises(OSError):
                await store.apply([resource("b")])
            assert names(store) == ["a"]
            os.rename(tmp_path / "aside", directory)
            await store.apply([resource("b")])
            assert names(store) == ["a", "b"]

    run(test)


def test_applies_at_the_same_time_do_not_mix(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as store:
            await asyncio.gather(*(store.apply([resource("a", f"{n}s"), resource("b", f"{n}s")]) for n in range(1, 9)))
            assert len({timeout(resource) for resource in store.list()}) == 1
            # A caller that goes away does not interrupt the batch.
            task = asyncio.create_task(store.apply([resource("c"), resource("d")]))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await until(lambda: names(store) in (["a", "b"], ["a", "b", "c", "d"]))
            await store.apply([resource("e")])
            stored = names(store)
        async with running(tmp_path) as store:
            assert names(store) == stored

    run(test)
