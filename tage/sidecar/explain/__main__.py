"""The explaining child: an `apart.Task` on stdin -> an `apart.Answer` on stdout."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import msgspec

from tage.sidecar import plan
from tage.sidecar.admin_clusters import flags
from tage.sidecar.explain.apart import Answer, QuestionError, Task
from tage.sidecar.explain.trace import explain


def main() -> None:
    gc.disable()  # a large table is many objects, all of which are needed to the end
    task = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Task)
    sections = {(kind, name): plan.decode(kind, blob) for kind, name, blob in task.sections}
    try:
        known = flags(Path(task.run_dir), sections.values()) if task.run_dir else None
        answer = Answer(explain(sections, task.question, known))
    except QuestionError as error:
        answer = Answer(error=str(error))
    sys.stdout.buffer.write(msgspec.msgpack.encode(answer))


if __name__ == "__main__":
    main()
