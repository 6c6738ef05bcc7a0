"""Trailer fields: what of them a proxy may pass on (RFC 9110, 6.5.1 and 6.6.2).

A field that decides where a message ends, where it goes, who sent it or how it is read must not come behind it, where
whoever merges trailers into headers would believe it after the decision. Such fields stay behind, as do those that end
at each connection; the rest goes on as it came.
"""

from __future__ import annotations

FORBIDDEN = frozenset(
    (
        # framing, connection management, routing
        b"connection", b"content-length", b"host", b"http2-settings", b"keep-alive", b"te", b"trailer",
        b"transfer-encoding", b"upgrade",
        # request modifiers
        b"cache-control", b"expect", b"if-match", b"if-modified-since", b"if-none-match", b"if-range",
        b"if-unmodified-since", b"max-forwards", b"pragma", b"range",
        # authentication and state
        b"authorization", b"cookie", b"set-cookie", b"www-authenticate",
        # response control
        b"age", b"date", b"expires", b"location", b"retry-after", b"vary", b"warning",
        # how the content is read
        b"content-encoding", b"content-range", b"content-type",
        # who asked, and what this and other proxies say of it
        b"forwarded", b"via", b"x-real-ip", b"x-request-id",
    )
)  # fmt: skip
FORBIDDEN_PREFIXES = (b"proxy-", b"x-forwarded-", b"x-envoy-", b"x-tage-")


def passable(lines: bytes, connection: bytes | None) -> bytes | None:
    """Of a trailer section's lines (`name: value` CR LF, checked) those that go on, None where there are none.
    `connection` is what the message's Connection headers name."""
    named = {each.strip(b" \t") for each in connection.lower().split(b",")} if connection is not None else ()
    kept = []
    for line in lines.splitlines(keepends=True):
        name = line.partition(b":")[0].lower()
        if not (name in FORBIDDEN or name in named or name.startswith(FORBIDDEN_PREFIXES)):
            kept.append(line)
    return b"".join(kept) or None
