"""reviews: what readers say. GET /reviews/1

Two versions of one program: with STARS=none (v1) the reviews stand alone, else (v2) each has the stars that the
service ratings knows.
"""

import os
from collections.abc import Mapping
from typing import Any

from service import book_number, call, serve

VERSION = os.environ.get("VERSION", "v1")
STARS = os.environ.get("STARS", "none")

REVIEWS = (
    ("Reviewer1", "An extremely entertaining play."),
    ("Reviewer2", "Absolutely fun and entertaining; it lacks thematic depth, though."),
)


def answer(path: str, headers: Mapping[str, str]) -> Any:
    number = book_number(path, "reviews")
    reviews: list[dict[str, Any]] = [{"reviewer": reviewer, "text": text} for reviewer, text in REVIEWS]
    if STARS != "none":
        stars = call(f"http://ratings/ratings/{number}", headers)["stars"]
        for review in reviews:
            review["stars"] = stars.get(review["reviewer"])
            review["colour"] = STARS
    return {"id": number, "version": VERSION, "reviews": reviews}


if __name__ == "__main__":
    serve(f"reviews {VERSION}", answer)
