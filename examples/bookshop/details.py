"""details: what a book is. GET /details/1"""

from collections.abc import Mapping
from typing import Any

from service import NotFound, book_number, serve

BOOKS = {
    1: {"title": "The Comedy of Errors", "author": "William Shakespeare", "year": 1595, "pages": 200},
    2: {"title": "Dream of the Red Chamber", "author": "Cao Xueqin", "year": 1791, "pages": 2500},
}


def answer(path: str, headers: Mapping[str, str]) -> Any:
    number = book_number(path, "details")
    if number not in BOOKS:
        raise NotFound(f"no book {number}")
    return {"id": number, **BOOKS[number]}


if __name__ == "__main__":
    serve("details", answer)
