from hypothesis import given
from hypothesis import strategies as st

from tage.dataplane.net.crc32c import crc32c


def bitwise(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_the_vectors_of_rfc_3720():
    for data, crc in (
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
        (b"123456789", 0xE3069283),
        (b"", 0),
    ):
        assert crc32c(data, 0, len(data)) == crc


@given(st.binary(), st.binary())
def test_in_two_steps_and_of_a_part(first: bytes, second: bytes):
    whole = first + second
    assert crc32c(second, 0, len(second), crc32c(first, 0, len(first))) == bitwise(whole)
    assert crc32c(whole, len(first), len(whole)) == bitwise(second)
