"""XXH64 against vectors made with the reference implementation (python-xxhash)."""

import pytest

from tage.dataplane.routing.hashing import xxh64


@pytest.mark.parametrize(
    ("data", "seed", "digest"),
    [
        (b"", 0, 0xEF46DB3751D8E999),
        (b"a", 0, 0xD24EC4F1A98C6E5B),
        (b"abc", 0, 0x44BC2CF5AD770999),
        (b"abc", 2654435761, 0x1318DF30094A85FD),
        (bytes(range(31)), 7, 0x0BDBBCAEAD6C6E56),
        (bytes(range(32)), 7, 0xA5972D57C4AEA230),
        (bytes(range(100)), 0, 0x6AC1E58032166597),
        (b"Nobody inspects the spammish repetition", 0, 0xFBCEA83C8A378BF1),
    ],
)
def test_vectors(data, seed, digest):
    assert xxh64(data, seed) == digest


def test_seeds_beyond_63_bits():
    assert xxh64(b"abc", (1 << 64) - 1) != xxh64(b"abc", (1 << 64) - 2)
