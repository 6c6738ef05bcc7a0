import pytest

from tage.dataplane.protocols.xprotocol.frame import bytewise
from tage.xprotocol import Frame, u16, u32


def test_but_replaces_the_tests_of_the_same_bytes():
    frame = Frame({0: b"abc", 3: (0x0F, 1)}, header=8, id=u16(4))
    other = frame.but({1: b"X", 3: 7}, id=u16(6))
    assert other.fixed() == {0: (255, 97), 1: (255, 88), 2: (255, 99), 3: (255, 7)}
    assert other.id == u16(6)
    assert frame.fixed()[1] == (255, 98)
    assert frame.but().fixed() == frame.fixed()
    assert frame.but(length=u32(0)).length == u32(0)


@pytest.mark.parametrize("test", [256, -1, b"", (1, 2), (256, 0), (1, 1, 1), "a", 1.5, None])
def test_what_is_no_test(test: object):
    with pytest.raises(ValueError, match="neither a byte, nor bytes, nor"):
        bytewise({0: test})  # type: ignore[dict-item]


def test_a_byte_is_tested_once():
    with pytest.raises(ValueError, match="two tests of the byte at 1"):
        bytewise({0: b"ab", 1: 3})
    with pytest.raises(ValueError, match="stands at no offset"):
        bytewise({-1: 3})
