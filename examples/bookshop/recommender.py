"""recommender: what else its readers read. Dubbo: com.tage.bookshop.Recommender.alsoRead(book)

Version 2 also says why.
"""

import os
from collections.abc import Mapping
from typing import Any

import rpc
import wire_dubbo

VERSION = os.environ.get("VERSION", "v1")
SERVICE = "com.tage.bookshop.Recommender"
ALSO_READ = {1: ([2], "both are about family"), 2: ([1], "both end well, in part")}


def also_read(book: int, *, metadata: Mapping[str, str]) -> dict[str, Any]:
    books, reason = ALSO_READ[book]
    answer: dict[str, Any] = {"version": VERSION, "books": books}
    if VERSION != "v1":
        answer["reason"] = reason
    return answer


if __name__ == "__main__":
    rpc.serve(wire_dubbo, SERVICE, {"alsoRead": also_read})
