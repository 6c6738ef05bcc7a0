"""Every field of Istio's two resources is either carried out or refused in words."""

from __future__ import annotations

import msgspec
import pytest

from tage.config import networking
from tage.config.convert import Converter
from tage.config.document import compose
from tests.config.istio_fields import MESSAGES


def struct(message: str) -> type[networking.Spec]:
    found = getattr(networking, message)
    assert issubclass(found, networking.Spec)
    return found


@pytest.mark.parametrize("message", MESSAGES)
def test_each_field_is_carried_out_or_refused(message: str) -> None:
    carried = [field.encode_name for field in msgspec.structs.fields(struct(message))]
    refused = networking.UNSUPPORTED.get(struct(message), ())
    assert sorted([*carried, *refused]) == sorted(MESSAGES[message])


def test_each_struct_is_one_of_istios() -> None:
    ours = {
        name for name in networking.__all__
        if isinstance(found := getattr(networking, name), type) and found is not networking.Spec
    }  # fmt: skip
    assert ours == set(MESSAGES)


@pytest.mark.parametrize(
    ("message", "field"),
    [(owner.__name__, field) for owner, fields in networking.UNSUPPORTED.items() for field in fields],
)
def test_the_refusal_says_that_the_field_exists(message: str, field: str) -> None:
    (node,), _ = compose(f"{field}: {{}}\n", "f.yaml")
    converter = Converter("f.yaml", networking.UNSUPPORTED)
    assert converter.convert(node, struct(message)) is None
    assert f"f.yaml:1: {field}: is not carried out by Tage yet; take it out" in map(str, converter.problems)
