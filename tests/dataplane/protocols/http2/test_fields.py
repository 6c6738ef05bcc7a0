"""What makes a message malformed (RFC 9113, 8.2 and 8.3; RFC 8441): a test a rule."""

import pytest

from tage.dataplane.protocols.http2.fields import BlockKind
from tage.dataplane.protocols.http2.hpack.decoder import HpackDecoder
from tage.dataplane.protocols.http2.hpack.encoder import HpackEncoder
from tests.dataplane.protocols.http2.blocks import Pairs, decode, encode

METHOD, SCHEME, PATH, AUTHORITY = PSEUDO = [
    (b":method", b"GET"),
    (b":scheme", b"http"),
    (b":path", b"/"),
    (b":authority", b"reviews:9080"),
]
CONNECT = [(b":method", b"CONNECT"), (b":authority", b"reviews:9080")]
STATUS = [(b":status", b"200")]
HEADER = (b"name", b"value")


def problem(pairs: Pairs, kind: BlockKind = BlockKind.REQUEST) -> str | None:
    """The same whether a field comes as a literal or from a table."""
    encoder, decoder = HpackEncoder(65_536), HpackDecoder(65_536)
    encoder.resize(65_536)
    found = [decode(encode(pairs, encoder), kind, decoder).problem for _ in range(3)]
    found.append(decode(b"".join(_literal(*pair) for pair in pairs), kind).problem)
    assert len(set(found)) == 1, found
    return found[0]


def _literal(name: bytes, value: bytes) -> bytes:
    """Not indexed; the name not either."""
    assert len(name) < 127
    assert len(value) < 127
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def replaced(name: bytes, *values: bytes) -> Pairs:
    """A request with these values of the pseudo-header; without values it is not there."""
    rest = [pair for pair in PSEUDO if pair[0] != name]
    return [*((name, value) for value in values), *rest]


def test_requests_that_are_fine():
    assert problem(PSEUDO) is None
    assert problem([*reversed(PSEUDO), HEADER]) is None
    assert problem([*PSEUDO, (b"empty", b""), (b"text", b"a b\tc \x80\xff"), (b"!#$%&'*+-.^_`|~09az", b"x")]) is None


# -- names (8.2.1) -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [b"Name", b"namE", b"X-A"])
def test_names_are_in_lower_case(name):
    # Our own encoder would write them so.
    block = encode(PSEUDO) + _literal(name, b"")
    assert decode(block).problem == "a header name with upper-case letters"


def test_a_name_is_not_empty():
    assert problem([*PSEUDO, (b"", b"a")]) == "an empty header name"


NO_TOKEN = [*range(33), *b'"(),/:;<=>?@[\\]{}', *range(127, 256, 16)]


@pytest.mark.parametrize("char", [bytes([c]) for c in NO_TOKEN])
def test_names_have_characters_of_tokens_only(char):
    for name in (b"a" + char, b"a" + char + b"b"):
        assert problem([*PSEUDO, (name, b"")]) == "a header name with a character that names do not have"


# -- values (8.2.1) ----------------------------------------------------------------------------------------------------

BAD_VALUE = "a header value with a control character, or white space around it"


@pytest.mark.parametrize("char", [bytes([c]) for c in range(32) if c != 9] + [b"\x7f"])
def test_values_have_no_control_characters(char):
    for value in (char, b"a" + char + b"b"):
        assert problem([*PSEUDO, (b"name", value)]) == BAD_VALUE


@pytest.mark.parametrize("value", [b" ", b"\t", b" a", b"a ", b"\ta", b"a\t"])
def test_values_have_no_white_space_around_them(value):
    assert problem([*PSEUDO, (b"name", value)]) == BAD_VALUE


@pytest.mark.parametrize("value", [b"5\r\nx: y", b"trailers\r\nx: y", b"a\0", b" a"])
@pytest.mark.parametrize("name", [b"content-length", b"te", b"cookie", b"host", b"content-type", b"expect"])
def test_values_of_headers_that_mean_something_are_checked_as_well(name, value):
    assert problem([*PSEUDO, (name, value)]) == BAD_VALUE


# -- connection-specific headers (8.2.2) -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [BlockKind.REQUEST, BlockKind.RESPONSE, BlockKind.TRAILERS])
@pytest.mark.parametrize("name", [b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"])
def test_connection_specific_headers(name, kind):
    pseudo = {BlockKind.REQUEST: PSEUDO, BlockKind.RESPONSE: STATUS, BlockKind.TRAILERS: []}[kind]
    assert problem([*pseudo, (name, b"x")], kind) == "a connection-specific header (RFC 9113, 8.2.2)"


def test_te_says_trailers_and_nothing_else():
    for value in (b"trailers", b"Trailers"):  # codings are the same in either case (RFC 9110, 10.1.4)
        assert problem([*PSEUDO, (b"te", value)]) is None
    for value in (b"", b"gzip", b"trailers, deflate", b"trailers;q=1", b"trailer"):
        assert problem([*PSEUDO, (b"te", value)]) == "te says other than trailers"


# -- pseudo-headers (8.3) ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", PSEUDO)
def test_pseudo_headers_stand_in_front(pair):
    rest = [each for each in PSEUDO if each != pair]
    assert problem([*rest, HEADER, pair]) == "a pseudo-header behind a regular one"


def test_status_stands_in_front():
    assert problem([HEADER, *STATUS], BlockKind.RESPONSE) == "a pseudo-header behind a regular one"


@pytest.mark.parametrize("pair", PSEUDO)
def test_pseudo_headers_come_once(pair):
    assert problem([*PSEUDO, pair]) == "a pseudo-header twice"


def test_status_comes_once():
    assert problem(STATUS * 2, BlockKind.RESPONSE) == "a pseudo-header twice"


@pytest.mark.parametrize("name", [b":", b":host", b":methods", b":Method", b":path ", b":a", b"::path", b":version"])
def test_unknown_pseudo_headers(name):
    for kind, pseudo in ((BlockKind.REQUEST, PSEUDO), (BlockKind.RESPONSE, STATUS), (BlockKind.TRAILERS, [])):
        assert decode(encode(pseudo) + _literal(name, b"x"), kind).problem == "an unknown pseudo-header"


def test_pseudo_headers_of_the_other_kind_of_message():
    wrong = "a pseudo-header that does not belong there"
    assert problem([*PSEUDO, *STATUS]) == wrong
    for pair in PSEUDO:
        assert problem([*STATUS, pair], BlockKind.RESPONSE) == wrong


@pytest.mark.parametrize("pair", [*PSEUDO, *STATUS, (b":protocol", b"websocket")])
def test_trailers_have_none(pair):
    assert problem([HEADER, pair], BlockKind.TRAILERS) is not None
    assert problem([pair, HEADER], BlockKind.TRAILERS) == "a pseudo-header that does not belong there"
    assert problem([HEADER], BlockKind.TRAILERS) is None
    assert problem([], BlockKind.TRAILERS) is None


# -- requests (8.3.1) --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [b":method", b":scheme", b":path"])
def test_what_a_request_has_to_have(name):
    assert problem(replaced(name)) == f"no {name.decode()}"


def test_an_empty_block_is_no_message():
    assert problem([]) == "no :method"
    assert problem([], BlockKind.RESPONSE) == "no :status"


@pytest.mark.parametrize("value", [b"", b"G T", b"GET ", b"GET\r\n", b"G/", b"\xff"])
def test_a_method_is_a_token(value):
    assert problem(replaced(b":method", value)) == ":method is not a token"
    assert problem(replaced(b":method", b"M-SEARCH")) is None


@pytest.mark.parametrize("value", [b"", b"1http", b"ht tp", b"http:", b"http\r\n"])
def test_a_scheme_is_one(value):
    assert problem(replaced(b":scheme", value)) == ":scheme is not a scheme"
    assert problem(replaced(b":scheme", b"a+b-1.c")) is None


def test_a_path_is_not_empty_and_begins_with_a_slash():
    assert problem(replaced(b":path", b"")) == ":path is empty"
    for value in (b"a", b"?a", b"http://a/", b"*a"):
        assert problem(replaced(b":path", value)) == ":path does not begin with /"


@pytest.mark.parametrize("char", [bytes([c]) for c in [*range(33), 127, 128, 255]] + [b"#"])
def test_a_path_has_neither_spaces_nor_control_characters_nor_a_fragment(char):
    assert problem(replaced(b":path", b"/a" + char + b"b")) == ":path has a character that paths do not have"


def test_a_star_is_for_options():
    star = (b":path", b"*")
    assert problem([(b":method", b"OPTIONS"), SCHEME, star, AUTHORITY]) is None
    assert problem([METHOD, SCHEME, star, AUTHORITY]) == ":path is * with another method than OPTIONS"


@pytest.mark.parametrize(
    "value",
    [b"", b"a b", b"user@a", b"user:password@a", b"a/b", b"a:b", b"a:80:80", b"[::1", b"a,b", b"a\r\n", b"\xff"],
)
def test_an_authority_is_a_host_and_perhaps_a_port_without_userinfo(value):
    assert problem(replaced(b":authority", value)) == ":authority is not host[:port]"
    for fine in (b"a", b"a:80", b"[::1]:80", b"10.1.2.3", b"a_b"):
        assert problem(replaced(b":authority", fine)) is None


# -- Host (8.3.1) ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", [b"reviews:9080", b"REVIEWS:9080"])
def test_host_may_say_the_same_as_authority(host):
    assert problem([*PSEUDO, (b"host", host)]) is None


def test_the_schemes_own_port_makes_no_difference():
    assert problem([METHOD, SCHEME, PATH, (b":authority", b"a"), (b"host", b"a:80")]) is None
    https = (b":scheme", b"https")
    assert problem([METHOD, https, PATH, (b":authority", b"a:443"), (b"host", b"a")]) is None
    assert (
        problem([METHOD, https, PATH, (b":authority", b"a:80"), (b"host", b"a")]) == "Host is another than :authority"
    )


@pytest.mark.parametrize("host", [b"ratings:9080", b"reviews", b"reviews:90"])
def test_host_must_not_say_other_than_authority(host):
    assert problem([*PSEUDO, (b"host", host)]) == "Host is another than :authority"


def test_there_is_one_host():
    assert problem([*PSEUDO, (b"host", b"reviews:9080"), (b"host", b"reviews:9080")]) == "two Host headers"


def test_host_alone_is_the_authority():
    pairs = [METHOD, SCHEME, PATH, (b"host", b"ratings")]
    assert problem(pairs) is None
    assert decode(encode(pairs)).authority == b"ratings"


@pytest.mark.parametrize("host", [b"user@a", b"a,b", b"a b", b"a:b"])
def test_host_alone_has_an_authoritys_form(host):
    assert problem([METHOD, SCHEME, PATH, (b"host", host)]) == "Host is not host[:port]"


def test_a_request_is_for_somebody():
    assert problem([METHOD, SCHEME, PATH]) == "neither :authority nor Host"
    assert problem([METHOD, SCHEME, PATH, (b"host", b"")]) == "neither :authority nor Host"


# -- CONNECT (8.5, RFC 8441) -------------------------------------------------------------------------------------------


def test_connect_has_method_and_authority_only():
    assert problem(CONNECT) is None
    for pair in (SCHEME, PATH):
        assert problem([*CONNECT, pair]) == "CONNECT with :scheme or :path"


def test_connect_goes_to_a_host_and_a_port():
    method = CONNECT[0]
    for authority in (b"reviews", b"reviews:0", b"reviews:65536", b":80"):
        assert problem([method, (b":authority", authority)]) is not None
    assert problem([method]) == "CONNECT to other than host:port"
    assert problem([method, (b"host", b"reviews:9080")]) == "CONNECT to other than host:port"


def test_extended_connect_has_all_of_them():
    extended = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *PSEUDO[1:]]
    assert problem(extended) is None
    for name in (b":scheme", b":path"):
        assert problem([pair for pair in extended if pair[0] != name]) == f"no {name.decode()}"
    assert problem([pair for pair in extended if pair[0] != b":authority"]) == "neither :authority nor Host"


def test_protocol_is_for_connect():
    assert problem([*PSEUDO, (b":protocol", b"websocket")]) == ":protocol with another method than CONNECT"
    assert problem([*CONNECT, (b":protocol", b"a b")]) == ":protocol is not a token"


# -- responses (8.3.2) -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [b"", b"20", b"2000", b"abc", b"2 0", b"099", b"-20", b"20\r\n"])
def test_a_status_is_three_digits(value):
    assert problem([(b":status", value)], BlockKind.RESPONSE) == ":status is not three digits"
    assert problem([(b":status", b"599")], BlockKind.RESPONSE) is None


def test_there_is_no_101():
    """RFC 9113, 8.6."""
    assert problem([(b":status", b"101")], BlockKind.RESPONSE) == (
        "status 101, which HTTP/2 does not have (RFC 9113, 8.6)"
    )
    assert problem([(b":status", b"103")], BlockKind.RESPONSE) is None


# -- content-length (8.1.1) --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [b"", b"-1", b"+1", b"1 ", b"1,1", b"0x1", b"1" * 19, b"one"])
def test_a_content_length_is_a_number(value):
    if value == b"1 ":
        assert problem([*PSEUDO, (b"content-length", value)]) == BAD_VALUE
    else:
        assert problem([*PSEUDO, (b"content-length", value)]) == "content-length is not a number"


def test_content_lengths_agree():
    same = (b"content-length", b"5")
    assert problem([*PSEUDO, same, same]) is None
    assert decode(encode([*PSEUDO, same, same])).pairs() == [same]
    assert problem([*PSEUDO, same, (b"content-length", b"6")]) == "two content-lengths"
    assert problem([*STATUS, same, (b"content-length", b"0")], BlockKind.RESPONSE) == "two content-lengths"
    assert decode(encode([*PSEUDO, same])).content_length == 5
    assert decode(encode(PSEUDO)).content_length == -1


# -- afterwards --------------------------------------------------------------------------------------------------------


def test_a_malformed_message_still_changes_the_table():
    decoder = HpackDecoder()
    fields = decode(_literal(b"Bad", b"") + b"\x40\x01a\x01b", decoder=decoder)
    assert fields.problem is not None
    assert decoder.table.pairs() == [(b"a", b"b")]


def test_the_first_problem_is_the_one_that_is_told():
    assert problem([*PSEUDO, (b"", b""), (b"te", b"gzip"), METHOD]) == "an empty header name"
