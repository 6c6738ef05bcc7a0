"""Certificates from files: read, checked, and read again when the files change."""

import asyncio
import os

import pytest

from tage.sidecar import plan
from tage.sidecar.secrets import SecretError, SecretFiles, load
from tage.sidecar.translate.draft import DataSource, SecretDraft
from tests.authority import Authority

AUTHORITY = Authority()


def draft(directory, name="c"):
    sources = {"chain": DataSource(str(directory / "chain")), "key": DataSource(str(directory / "key"))}
    return SecretDraft(plan.Certificate(name, b"", b""), sources)


def put(directory, pair, *fields):
    """As an orderly tool does it: a new file under the old name."""
    for field in fields or ("chain", "key"):
        fresh = directory / f"{field}.new"
        fresh.write_bytes(getattr(pair, field))
        os.replace(fresh, directory / field)


def test_load(tmp_path):
    pair = AUTHORITY.issue("a.test")
    put(tmp_path, pair)
    section = load(draft(tmp_path)).section
    assert (section.name, section.chain, section.key) == ("c", pair.chain, pair.key)
    inline = {"chain": DataSource(inline=pair.chain), "key": DataSource(inline=pair.key)}
    assert load(SecretDraft(plan.Certificate("c", b"", b""), inline)).section == section
    assert "PRIVATE" not in repr(section)
    trust = load(SecretDraft(plan.Trust("t"), {"ca": DataSource(inline=AUTHORITY.pem)})).section
    assert trust == plan.Trust("t", AUTHORITY.pem)


def test_what_cannot_be_loaded_is_named(tmp_path):
    with pytest.raises(SecretError, match=f"^{tmp_path}/chain: No such file or directory$"):
        load(draft(tmp_path))
    put(tmp_path, AUTHORITY.issue("a.test"))
    put(tmp_path, AUTHORITY.issue("b.test"), "key")
    with pytest.raises(SecretError, match=f"^{tmp_path}/chain and {tmp_path}/key: the key is not that of the cert"):
        load(draft(tmp_path))
    with pytest.raises(SecretError, match=r"^the trusted certificates cannot be read"):
        load(SecretDraft(plan.Trust("t"), {"ca": DataSource(inline=b"x")}))


def watched(tmp_path, test):
    """`test(files, changed)` with the files of one certificate watched; it says when they are looked at."""

    async def main():
        changed = []
        put(tmp_path, AUTHORITY.issue("a.test"))
        files = SecretFiles(changed.append, 3600)
        files.set([load(draft(tmp_path))])
        try:
            await test(files, changed)
        finally:
            files.close()

    asyncio.run(main())


def test_files_that_change(tmp_path):
    async def test(files, changed):
        files.look("c")
        assert changed == [], "it is what was loaded"
        fresh = AUTHORITY.issue("b.test")
        put(tmp_path, fresh)
        files.look("c")
        assert [section.chain for section in changed] == [fresh.chain]
        files.look("c")
        assert len(changed) == 1

    watched(tmp_path, test)


def test_half_a_change_is_waited_for(tmp_path, caplog):
    async def test(files, changed):
        fresh = AUTHORITY.issue("b.test")
        put(tmp_path, fresh, "chain")
        files.look("c")
        files.look("c")
        assert changed == []
        assert len(caplog.records) == 1, "said once"
        assert "what was there before stays in force" in caplog.text
        put(tmp_path, fresh, "key")
        files.look("c")
        assert [(section.chain, section.key) for section in changed] == [(fresh.chain, fresh.key)]

    watched(tmp_path, test)


def test_a_file_that_goes_and_comes_back(tmp_path):
    async def test(files, changed):
        (tmp_path / "key").unlink()
        files.look("c")
        assert changed == []
        fresh = AUTHORITY.issue("b.test")
        put(tmp_path, fresh)
        files.look("c")
        assert len(changed) == 1

    watched(tmp_path, test)


def test_a_change_between_loading_and_watching_is_seen(tmp_path):
    async def main():
        changed = []
        put(tmp_path, AUTHORITY.issue("a.test"))
        given = load(draft(tmp_path))
        put(tmp_path, AUTHORITY.issue("b.test"))
        files = SecretFiles(changed.append, 0.01)
        files.set([given])
        async with asyncio.timeout(10):
            while not changed:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        files.set([])
        assert not files.watching, "nothing to watch"

    asyncio.run(main())


def test_what_was_given_inline_is_not_watched(tmp_path):
    async def main():
        pair = AUTHORITY.issue("a.test")
        sources = {"chain": DataSource(inline=pair.chain), "key": DataSource(inline=pair.key)}
        files = SecretFiles(lambda section: None)
        files.set([load(SecretDraft(plan.Certificate("c", b"", b""), sources))])
        assert not files.watching

    asyncio.run(main())


# -- filters' code -----------------------------------------------------------------------------------------------------


def code(directory, text):
    file = directory / "auth.py"
    file.write_bytes(text)
    return SecretDraft(plan.FilterCode(str(file), b""), {"source": DataSource(str(file))})


def test_code_is_loaded_if_it_is_python(tmp_path):
    assert load(code(tmp_path, b"x = 1\n")).section == plan.FilterCode(str(tmp_path / "auth.py"), b"x = 1\n")
    for text, said in ((b"x = (\n", "line 1: "), (b"x = 1\n\xff\n", ""), (b"x\0", "")):
        with pytest.raises(SecretError, match=f"^{tmp_path}/auth.py: {said}"):
            load(code(tmp_path, text))


def test_code_that_changes_is_told_once_it_is_python(tmp_path, caplog):
    async def main():
        changed = []
        files = SecretFiles(changed.append, 3600)
        name = str(tmp_path / "auth.py")
        files.set([load(code(tmp_path, b"x = 1\n"))])
        for text in (b"x = (\n", b"x = 2\n"):
            (tmp_path / "auth.py.new").write_bytes(text)
            os.replace(tmp_path / "auth.py.new", tmp_path / "auth.py")
            files.look(name)
        files.close()
        assert [section.source for section in changed] == [b"x = 2\n"]

    asyncio.run(main())
    assert "auth.py: line 1" in caplog.text
