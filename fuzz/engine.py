"""A target under atheris, libFuzzer for Python: guided by coverage of the sources as they are, not compiled.

Not among the requirements: `pip install atheris` where a long run is wanted. Keep its corpus folder between runs.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, NoReturn

from fuzz.driver import examine
from fuzz.target import Target


def installed() -> bool:
    return importlib.util.find_spec("atheris") is not None


def run(target: Target, seconds: int, seed: int, folder: Path) -> NoReturn:
    """Ends the process: with status 0 after `seconds`, else with libFuzzer's, and the input in `folder`."""
    import atheris

    corpus = folder / f"{target.name}.corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(data)
    dictionary = folder / f"{target.name}.dict"
    dictionary.write_text("".join(f'"{_escaped(token)}"\n' for token in target.tokens))
    for name, module in list(sys.modules.items()):
        if name.startswith("tage.dataplane."):
            _instrument(atheris, module)
    options = [
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-max_len={target.max_size}",
        f"-dict={dictionary}",
        f"-artifact_prefix={folder}/{target.name}-",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], lambda data: examine(target, data, memory=False))
    atheris.Fuzz()
    sys.exit(0)


def _escaped(token: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in token)


def _instrument(atheris: Any, module: ModuleType) -> None:
    """Its functions and methods. Not atheris's import hook: it would take the compiled modules (tage/_pure.py)."""
    for thing in vars(module).values():
        if getattr(thing, "__module__", None) != module.__name__:
            continue
        for function in vars(thing).values() if isinstance(thing, type) else [thing]:
            if isinstance(function, FunctionType):
                atheris.instrument_func(function)
