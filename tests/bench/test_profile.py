from __future__ import annotations

from bench.profile import shares_of

REPORT = """
# Overhead  Shared Object
    71.23%  [kernel.kallsyms]
     0.42%  [vdso]
     7.16%  libpython3.11.so.1.0
     2.71%  libc.so.6
     2.27%  decoder.cpython-311-x86_64-linux-gnu.so
     1.65%  message.cpython-311-x86_64-linux-gnu.so
     2.08%  reactor.cpython-311-x86_64-linux-gnu.so
     0.79%  loop.cpython-311-x86_64-linux-gnu.so
     3.00%  libcrypto.so.3
     0.10%  something.so
"""


def test_shares_by_layer() -> None:
    shares = shares_of(REPORT)
    assert round(shares["kernel"], 2) == 71.65
    assert round(shares["protocols"], 2) == 3.92
    assert shares["net"] == 2.08
    assert shares["OpenSSL"] == 3.0
    assert shares["Python's runtime"] == 7.16
    assert shares["C library"] == 2.71
    assert shares["uvloop"] == 0.79
    assert shares["other"] == 0.10
