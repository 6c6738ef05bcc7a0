"""productpage: a book, with what all the other services know of it. GET / or /productpage/1

Two of them are called over HTTP, four by protocols of remote calls, and one sends a line to whoever connects
(calls.py). That somebody looked is told to the ledger as well, by a one-way call.
"""

from collections.abc import Mapping
from typing import Any

from calls import Shop
from rpc import CallError
from service import Unavailable, book_number, call, serve

shop = Shop()


def answer(path: str, headers: Mapping[str, str]) -> Any:
    number = 1 if path == "/" else book_number(path, "productpage")
    page = {
        "details": call(f"http://details/details/{number}", headers),
        "reviews": call(f"http://reviews/reviews/{number}", headers),
    }
    try:
        shop.looked(number, headers)
        return page | {
            "stock": shop.stock(number, headers),
            "recommended": shop.recommended(number, headers),
            "ledger": shop.entered(number, headers),
            "price": shop.price(number, headers),
            "quote": shop.quote(),
        }
    except CallError as error:
        raise Unavailable(str(error)) from error


if __name__ == "__main__":
    serve("productpage", answer)
