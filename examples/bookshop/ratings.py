"""ratings: how many stars each reviewer gave. GET /ratings/1"""

from collections.abc import Mapping
from typing import Any

from service import book_number, serve

STARS = {"Reviewer1": 5, "Reviewer2": 4}


def answer(path: str, headers: Mapping[str, str]) -> Any:
    return {"id": book_number(path, "ratings"), "stars": STARS}


if __name__ == "__main__":
    serve("ratings", answer)
