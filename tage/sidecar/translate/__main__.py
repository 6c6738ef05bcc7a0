"""The translating child: ``python -m tage.sidecar.translate FILE`` -> on stdout a `bootstrap.Outcome`."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from tage.sidecar.bootstrap import Outcome
from tage.sidecar.translate import bootstrap
from tage.sidecar.translate.problem import TranslateError


def main() -> None:
    try:
        outcome = Outcome(bootstrap.load(Path(sys.argv[1])))
    except TranslateError as error:
        outcome = Outcome(problems=error.problems)
    sys.stdout.buffer.write(msgspec.msgpack.encode(outcome))


if __name__ == "__main__":
    main()
