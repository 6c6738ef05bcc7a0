"""What a peer can do wrong in its first bytes: PROXY protocol header and TLS ClientHello."""

from typing import NamedTuple


class Violation(NamedTuple):
    code: str
    """For access log and statistics: `tls.` or `proxy.` and a word."""
    reason: str


# -- TLS ClientHello ---------------------------------------------------------------------------------------------------

BAD_RECORD = Violation("tls.bad_record", "a TLS record is empty, longer than 16384 bytes or not of the handshake")
TOO_MANY_RECORDS = Violation("tls.too_many_records", "the TLS ClientHello comes in more records than the limit")
NO_CLIENT_HELLO = Violation("tls.no_client_hello", "the first TLS handshake message is not a ClientHello")
HELLO_TOO_LARGE = Violation("tls.hello_too_large", "the TLS ClientHello is larger than the limit")
HELLO_NOT_ALONE = Violation("tls.hello_not_alone", "bytes follow the TLS ClientHello within its record")
BAD_HELLO = Violation("tls.bad_hello", "the TLS ClientHello's lengths do not add up")
DUPLICATE_EXTENSION = Violation("tls.duplicate_extension", "the TLS ClientHello has two extensions of one type")
TOO_MANY_EXTENSIONS = Violation("tls.too_many_extensions", "the TLS ClientHello has more extensions than the limit")
BAD_SERVER_NAME = Violation(
    "tls.bad_server_name", "the TLS server name is not a DNS host name (an address, a trailing dot or odd characters)"
)
BAD_ALPN = Violation("tls.bad_alpn", "the list of application protocols in the TLS ClientHello is malformed")
BAD_VERSIONS = Violation("tls.bad_versions", "the list of versions in the TLS ClientHello is malformed")

# -- PROXY protocol ----------------------------------------------------------------------------------------------------

BAD_LINE = Violation("proxy.bad_line", "the PROXY protocol line is malformed")
LINE_TOO_LONG = Violation("proxy.line_too_long", "the PROXY protocol line does not end within 107 bytes")
BAD_VERSION = Violation("proxy.bad_version", "the PROXY protocol header is of a version other than 1 and 2")
BAD_COMMAND = Violation("proxy.bad_command", "the PROXY protocol header has a command other than LOCAL and PROXY")
BAD_FAMILY = Violation("proxy.bad_family", "the PROXY protocol header has an unknown address family or transport")
BAD_LENGTH = Violation("proxy.bad_length", "the PROXY protocol header is too short for its addresses or attributes")
HEADER_TOO_LARGE = Violation("proxy.header_too_large", "the PROXY protocol header is larger than the limit")
BAD_CHECKSUM = Violation("proxy.bad_checksum", "the PROXY protocol header does not have the checksum that it states")
