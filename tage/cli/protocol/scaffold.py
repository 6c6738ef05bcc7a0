"""`tage protocol new`: files from templates. They are ordinary Python but for `$name` and the like, and are tested as
what is written: the example under examples/protocols is what comes out for `ledger`."""

from __future__ import annotations

import keyword
import re
from importlib import resources
from pathlib import Path
from string import Template

from tage.cli.errors import CommandError

_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")

_FILES = {
    "protocol.py.txt": "{module}.py",
    "test.py.txt": "test_{module}.py",
    "wire.py.txt": "{module}_wire.py",
    "server.py.txt": "{module}_server.py",
    "client.py.txt": "{module}_client.py",
    "mesh.yaml.txt": "mesh.yaml",
}
"""Template -> what it becomes; the class first."""

SERVICE = "accounts"


def write(name: str, directory: Path) -> list[Path]:
    """All files or none; what is there already is not touched. Raises CommandError."""
    files = {directory / file: text for file, text in render(name).items()}
    there = [str(path) for path in files if path.exists()]
    if there:
        raise CommandError(f"{', '.join(there)}: there already, and not overwritten; say --directory DIR", 2)
    written: list[Path] = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            with path.open("x") as file:  # somebody may have come in between
                written.append(path)
                file.write(text)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        raise CommandError(f"{error.filename or directory}: cannot be written: {error.strerror}", 2) from error
    return written


def render(name: str) -> dict[str, str]:
    """File name -> text. Raises CommandError where `name` is none."""
    wrong = _wrong(name)
    if wrong:
        raise CommandError(f"{name!r} is no name for a protocol: {wrong}", 2)
    module = name.replace("-", "_")
    words = {
        "name": name,
        "module": module,
        "class_name": "".join(word.capitalize() for word in name.split("-")),
        "magic": (name.replace("-", "") * 2)[:2].upper(),
        "service": SERVICE,
        "variable": f"TAGE_SIDECAR_X_{module.upper()}",
    }
    folder = resources.files("tage.cli.protocol").joinpath("templates")
    return {
        file.format(module=module): Template(folder.joinpath(template).read_text()).substitute(words)
        for template, file in _FILES.items()
    }


def _wrong(name: str) -> str:
    from tage.cli.protocol.source import BUILTIN

    if name in BUILTIN:
        return "Tage brings one of that name"
    if not _NAME.fullmatch(name) or len(name) > 40:
        return "use up to 40 lower-case letters, digits and single hyphens, a letter first, as in `ledger`"
    if keyword.iskeyword(name.replace("-", "_")):
        return "Python has a word like that"
    return ""
