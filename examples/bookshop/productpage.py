"""productpage: a book with its details and reviews. GET / or /productpage/1"""

from collections.abc import Mapping
from typing import Any

from service import book_number, call, serve


def answer(path: str, headers: Mapping[str, str]) -> Any:
    number = 1 if path == "/" else book_number(path, "productpage")
    return {
        "details": call(f"http://details/details/{number}", headers),
        "reviews": call(f"http://reviews/reviews/{number}", headers),
    }


if __name__ == "__main__":
    serve("productpage", answer)
