"""stock: how many copies there are. SOFARPC: com.tage.bookshop.Stock.check(book)

Version 2 also says where they are.
"""

import os
from collections.abc import Mapping
from typing import Any

import rpc
import wire_bolt

VERSION = os.environ.get("VERSION", "v1")
SERVICE = "com.tage.bookshop.Stock"
COPIES = {1: (7, "Leeds"), 2: (3, "Nanjing")}


def check(book: int, *, metadata: Mapping[str, str]) -> dict[str, Any]:
    copies, place = COPIES[book]
    answer: dict[str, Any] = {"version": VERSION, "copies": copies}
    if VERSION != "v1":
        answer["place"] = place
    return answer


if __name__ == "__main__":
    rpc.serve(wire_bolt, SERVICE, {"check": check})
