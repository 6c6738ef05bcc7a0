"""Odd values for every place of a message: what published attacks used, and what lies at the edges of the grammar."""

# ruff: noqa: E501  (tables)

from __future__ import annotations

import random

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n"
"""What an attacker wants to be taken for a request. No input has it where it is one, but for pipelines."""
DONE = b"0\r\n\r\n"
HELLO = b"5\r\nhello\r\n" + DONE

BYTES = [bytes([c]) for c in (*range(0x21), *b'"#%(),/:;<=>?@[\\]{}', 0x7F, 0x80, 0x85, 0xA0, 0xAD, 0xB2, 0xFF)]
ENDS = [
    b"\n",
    b"\r",
    b"\r\r\n",
    b"\n\r",
    b"\n\n",
    b"\r\n\r",
    b" \r\n",
    b"\t\r\n",
    b"\0\r\n",
    b"\r\n ",
    b"\x0b\r\n",
    b"\x85",
    b"\xe2\x80\xa8",
    b"",
]
SPACES = [b"", b"  ", b"\t", b"\x0b", b"\x0c", b"\r", b"\n", b"\0", b"\xa0", b" \t", b"%20", b"\xe3\x80\x80", b"+"]

LENGTHS = [
    b"+5", b"-5", b"-0", b"+0", b"0x5", b"0X5", b"5_0", b"_5", b"05", b"0005", b"00000000000000005", b"000000000000000000000005",
    b"5,5", b"5, 5", b"5,6", b"5,", b",5", b"5 5", b"5\t5", b"5;5", b"5;", b'"5"', b"'5'", b"5.0", b"5.", b".5", b"5e0", b"5E0",
    b"0b101", b"0o5", b"5L", b"5u", b"5h", b"#5", b"%35", b"five", b"NaN", b"inf", b"null", b"", b" ", b"\xd9\xa5", b"\xb2", b"\xef\xbc\x95",
    b"5\xa0", b"\xa05", b"5\0", b"\x005", b"\x0b5", b"5\x0b", b"5\x0c", b"5\r", b"\r5", b"5\n", b"5\r\n ", b"\r\n 5", b"\r\n\t5", b"5\r\n 0",
    b"2147483647", b"2147483648", b"4294967295", b"4294967296", b"4294967301", b"9223372036854775807", b"9223372036854775808",
    b"18446744073709551615", b"18446744073709551616", b"18446744073709551621", b"-18446744073709551611", b"99999999999999999999999999",
    b"340282366920938463463374607431768211461", b"5" * 400, b"0" * 400 + b"5", b"0", b"1", b"4", b"5", b"6", b"100",
]  # fmt: skip
CODINGS = [
    b"chunked", b"Chunked", b"CHUNKED", b"cHuNkEd", b"\tchunked", b"chunked ", b"chunked\t", b" \t chunked \t ",
    b"\x0bchunked", b"chunked\x0b", b"\x0cchunked", b"chunked\x0c", b"\0chunked", b"chunked\0", b"chu\0nked", b"\rchunked", b"chunked\r",
    b"\nchunked", b"chunked\n", b"\r\n chunked", b"\r\n\tchunked", b"chunked\r\n ", b"\x08chunked", b"chunked\x7f", b"\x1fchunked",
    b"xchunked", b"chunkedx", b"x-chunked", b"chunked-x", b"chunke", b"hunked", b"chun ked", b"chun\tked", b"chunked chunked", b"x chunked",
    b"chunked, chunked", b"chunked,chunked", b"chunked,", b"chunked, ", b",chunked", b", chunked", b",,chunked,,", b"chunked , ",
    b"identity", b"identity, chunked", b"chunked, identity", b"identity,chunked", b"gzip", b"gzip, chunked", b"chunked, gzip", b"deflate, chunked",
    b"compress", b"cow", b"chunked, cow", b"cow, chunked", b"br, chunked", b"trailers", b"trailers, chunked", b"chunked;q=1", b"chunked;q=0",
    b"chunked; a=b", b"chunked;", b"chunked=1", b'"chunked"', b"'chunked'", b"(chunked)", b"<chunked>", b"[chunked]", b"chunked(x)", b"chunked/1",
    b"chunked:", b":chunked", b"chunked.", b"chunked#", b"%63hunked", b"chunked%00", b"\xe1\xb4\x84hunked", b"chun\xe2\x84\xaaed", b"\xef\xbd\x83hunked",
    b"\xa0chunked", b"chunked\xa0", b"chunked\x85", b"\xff", b"\xef\xbb\xbfchunked", b"", b" ", b"\t", b"0", b"none", b"null", b"chunked" * 20,
]  # fmt: skip
FRAMING_NAMES = [
    b"%s", b"%s ", b"%s\t", b"%s\x0b", b"%s\x0c", b"%s\0", b"%s\xa0", b"%s\r", b" %s", b"\t%s", b"\x0b%s", b"\0%s", b"\xa0%s", b"\r%s", b"\n%s",
    b"X: x\n%s", b"X: x\r%s", b"X: x\r\r\n%s", b"X: x\n\r%s", b"X: x\0%s", b"X\n: x\r\n%s", b"X:\r\n %s", b"%s:", b":%s", b"x%s", b"%sx", b"X-%s",
    b'"%s"', b"%s;", b"%s,", b"%s/1", b"\\%s", b"\xef\xbb\xbf%s", b"%s\x7f", b"(%s)", b"$%s", b"%s%%20", b"\x08%s",
]  # fmt: skip
FIELDS = [
    b"X", b"X x", b": x", b":", b"X : x", b"X\t: x", b" X: x", b"\tX: x", b"X:\r\n y", b"X: a\r\n\tb", b"X:", b"X: ", b"X:\t", b"X: a\0b", b"X: a\rb",
    b"X: a\nb", b"X: \x7f", b"X: \x80\xff", b"X: \xe8\xb8\x8f\xe6\xad\x8c", b"X\x80: x", b"X\xe9: x", b"X@Y: x", b"X[0]: x", b"X=Y: x", b'"X": x',
    b"!#$%&'*+-.^_`|~: x", b"0: 1", b"_: x", b"-: x", b"X: :", b"X: a: b", b"X: \x0b", b"X: \x1b[2J", b"X\0: x", b"\0: x", b"Content-Length", b"Transfer-Encoding",
    b"Content_Length: 5", b"Transfer_Encoding: chunked", b"CONTENT-LENGTHS: 5", b"Contents-Length: 5", b"Content-Length-: 5", b"Content-Leng th: 5",
    b"X-Forwarded-For: 1.2.3.4", b"X-Forwarded-Host: h", b"X-Request-Id: x", b"X-HTTP-Method-Override: DELETE", b"Forwarded: for=x",
    b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA", b"TE: trailers", b"TE: chunked", b"Trailer: Content-Length", b"Keep-Alive: timeout=1, max=1",
    b"Proxy-Connection: close", b"Range: bytes=0-", b"X: " + b"x" * 8_000, b"X: " + b"x" * 62_000, b"X" * 5_000 + b": x", b"GET / HTTP/1.1", b"Host", b"Content-Encoding: gzip",
]  # fmt: skip
CONNECTIONS = [
    b"close", b"Close", b"keep-alive", b"close, keep-alive", b"keep-alive, close", b"content-length", b"Transfer-Encoding", b"content-length, transfer-encoding",
    b"close, content-length", b"host", b"Host, x", b"expect", b"x-forwarded-for", b"x-forwarded-proto, x-request-id", b"cookie, x, authorization", b"connection", b"upgrade",
    b"Upgrade, HTTP2-Settings", b"te", b"trailer", b"", b",", b",,close,,", b"close x", b'"close"', b"close;", b"clos\xe9", b"\xff", b"close\0", b"close\r", b"\x0bclose",
    b", ".join([b"x%d" % i for i in range(40)]),
]  # fmt: skip
EXPECTATIONS = [
    b"100-continue", b"100-Continue", b" 100-continue ", b"100-continue, x", b"x, 100-continue", b"100-continue;q=1", b"100", b"200-ok", b"", b"y", b"100-continue\0",
    b"100-continue, 100-continue",
]  # fmt: skip

CHUNK_SIZES = [
    b"5", b"05", b"005", b"000000000000005", b"0000000000000005", b"00000000000000000000005", b"5;a", b"5;a=b", b'5;a="b"', b'5;a="b;c"', b'5;a="\\""', b'5;a="', b"5;", b"5;;", b"5; a",
    b"5;a = b", b"5 ;a", b"5\t;a", b"5;a\tb", b"5;=", b"5;a=", b"5;\x80", b"5;" + b"a" * 1_000, b"5;" + b"a" * 20_000, b"5;a\0", b"5;a\x7f", b"5;a\rb", b"5;a\nb", b'5;a="\n"', b'5;a="\r\n"',
    b"5;\n0", b"5;\r0", b"5;a\r\r", b"5 ", b"5  ", b"5\t", b" 5", b"\t5", b"5\x0b", b"5\x0c", b"5\0", b"\x005", b"5\xa0", b"5\xff", b"0x5", b"0X5", b"x5", b"+5", b"-5", b"- 5", b"5_", b"_5", b"5_0",
    b"5,", b"5.", b"5.0", b"5e", b"5h", b"5L", b'"5"', b"(5)", b"#5", b"%35", b"5\r", b"\r5", b"5\n", b"\n5", b"\r\n5", b"5 5", b"5:5", b"5=5", b"", b" ", b";a", b"g", b"G", b"\xd9\xa5", b"\xb5",
    b"\xef\xbc\x95", b"ffffffffffffffff", b"fffffffffffffffb", b"10000000000000005", b"100000005", b"80000000", b"7fffffffffffffff", b"8000000000000005", b"ffffffff00000005", b"-fffffffffffffffb",
    b"5" * 100, b"0" * 1_000 + b"5", b"4", b"6", b"3", b"a", b"A", b"7", b"0",
]  # fmt: skip
CHUNK_ENDS = [b"\n", b"\r", b"", b"\r\r\n", b"\n\r", b" \r\n", b"x\r\n", b"\0\r\n", b"\r\n\r\n", b"\n\n", b"\r\n\0"]
LAST_CHUNKS = [
    b"0\r\n", b"0\r", b"0", b"", b"0\n\n", b"0\r\n\n", b"0\n\r\n", b"0\r\n\r", b"0\r\r\n\r\n", b"0\r\n\rX", b"0 \r\n\r\n", b"00\r\n\r\n", b"000000000000000000\r\n\r\n", b"0;a\r\n\r\n",
    b"0;a=b\r\n\r\n", b'0;a="\r\n\r\n', b"0;\n\r\n", b"-0\r\n\r\n", b"+0\r\n\r\n", b"0x0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"0\r\nX:\r\n\r\n", b"0\r\nX: y\r\nX: z\r\n\r\n", b"0\r\nX : y\r\n\r\n",
    b"0\r\nX: y\n\r\n", b"0\r\nX: y\n\n", b"0\r\nX: y\rZ: z\r\n\r\n", b"0\r\n X: y\r\n\r\n", b"0\r\nX: y\r\n z\r\n\r\n", b"0\r\nX\r\n\r\n", b"0\r\n: y\r\n\r\n", b"0\r\nX: \0\r\n\r\n", b"0\r\n\0\r\n\r\n",
    b"0\r\nContent-Length: 5\r\n\r\n", b"0\r\nContent-Length: 0\r\n\r\n", b"0\r\nTransfer-Encoding: chunked\r\n\r\n", b"0\r\nTransfer-Encoding: identity\r\n\r\n", b"0\r\nHost: other\r\n\r\n",
    b"0\r\nConnection: close\r\n\r\n", b"0\r\nAuthorization: x\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n", b"0\r\nTrailer: X\r\n\r\n", b"0\r\nX: " + b"x" * 9_000 + b"\r\n\r\n", b"0\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
    b"0\r\n" + HIDDEN, b"0\r\n\r\n\r\n", b"0\r\nX: y\r\n\r\n\r\n", b"0\r\n\xef\xbb\xbfX: y\r\n\r\n", b"0\r\nX\x0b: y\r\n\r\n", b"\r\n0\r\n\r\n", b"\n0\r\n\r\n", b"0\r\n0\r\n\r\n",
]  # fmt: skip


def chunked_bodies() -> list[bytes]:
    """Chunked bodies with one odd place each."""
    found = [DONE, HELLO, b"1\r\nx\r\n" * 30 + DONE, b"5\r\n" + DONE + b"\r\n" + DONE]
    found += [size + b"\r\nhello\r\n" + DONE for size in CHUNK_SIZES]
    found += [b"5\r\nhello" + end + DONE for end in CHUNK_ENDS]
    found += [b"5" + end + b"hello\r\n" + DONE for end in ENDS]
    found += [b"5\r\nhello\r\n" + last for last in LAST_CHUNKS]
    found += [b"%x\r\n%b\r\n" % (len(HIDDEN), HIDDEN) + DONE, b"%x;\n%b\r\n" % (len(HIDDEN), HIDDEN) + DONE]
    return found


def framing_lines() -> list[tuple[bytes, ...]]:
    """Header lines that frame, or look as if: odd values, odd names, and pairs of them."""
    found: list[tuple[bytes, ...]] = [()]
    found += [(b"Content-Length: " + value,) for value in LENGTHS]
    found += [(b"Transfer-Encoding: " + value,) for value in CODINGS]
    found += [(name.replace(b"%s", b"Content-Length").replace(b"%%", b"%") + b": 5",) for name in FRAMING_NAMES]
    found += [
        (name.replace(b"%s", b"Transfer-Encoding").replace(b"%%", b"%") + b": chunked",) for name in FRAMING_NAMES
    ]
    coding, length = b"Transfer-Encoding: chunked", b"Content-Length: 5"
    found += [(length, line) for line, *_ in found[1:]] + [(line, coding) for line, *_ in found[1:]]
    found += [(line, length) for line, *_ in found[1:40]] + [(coding, line) for line, *_ in found[40:140]]
    found += [
        (length, length, length),
        (coding, length, coding),
        (length, b"X: y", length),
        (b"content-length: 5", b"CONTENT-LENGTH: 5"),
    ]
    found += [
        (length, b"Connection: content-length"),
        (coding, b"Connection: transfer-encoding"),
        (coding, length, b"Connection: content-length"),
    ]
    return found


def havoc(source: random.Random, data: bytes) -> bytes:
    """One byte, or a few, changed anywhere; more often where the grammar's borders are."""
    borders = [at for at, c in enumerate(data) if c in b"\r\n :;,"]
    at = source.choice(borders) if borders and source.random() < 0.7 else source.randrange(len(data) + 1)
    kind = source.randrange(6)
    if kind == 0:
        return data[:at] + data[at + 1 :]
    if kind == 1:
        return data[:at] + source.choice(BYTES) + data[at:]
    if kind == 2:
        return data[:at] + source.choice(BYTES) + data[at + 1 :]
    if kind == 3:
        return data[:at] + data[at : at + 1] * 2 + data[at + 1 :]
    if kind == 4:
        return data[:at] + source.choice(ENDS) + data[at:]
    other = source.randrange(len(data) + 1)
    return data[: min(at, other)] + data[max(at, other) :] if abs(at - other) < 12 else data[:at]
