import pytest

from tage.xprotocol import Field, i32, u8, u16, u24, u32, u64


@pytest.mark.parametrize(
    ("field", "data", "value"),
    [
        (u8(1), b"\0\xfe", 0xFE),
        (u16(0), b"\1\2", 0x102),
        (u16(0).little, b"\1\2", 0x201),
        (u24(1), b"\0\1\2\3", 0x10203),
        (u32(0), b"\xff\xff\xff\xfe", 0xFFFFFFFE),
        (u64(0).little, b"\1" + bytes(6) + b"\x80", 0x8000000000000001),
        (i32(0), b"\xff\xff\xff\xff", -1),
        (u32(0).plus(4), b"\0\0\0\1", 5),
        (u32(0).plus(-8), b"\0\0\0\1", -7),
        (u8(0).masked(0x1F), b"\xe3", 3),
        (u16(0).little.masked(0x0FFF).plus(1), b"\x01\xf2", 0x202),
    ],
)
def test_numbers_are_read(field: Field, data: bytes, value: int):
    assert field.get(data) == value
    assert field.get(b"..." + data, 3) == value
    if 0 <= value <= field.most:
        again = bytearray(data)
        field.put(again, value)
        assert again == data


def test_bits_outside_the_mask_stay():
    data = bytearray(b"\xe3\xff")
    u8(0).masked(0x1F).put(data, 8)
    assert data == b"\xe8\xff"


@pytest.mark.parametrize(
    ("field", "value"),
    [(u8(0), 256), (u8(0), -1), (u8(0).masked(7), 8), (u16(0).plus(4), 3), (i32(0), -1), (i32(0), 1 << 31)],
)
def test_what_does_not_fit_is_refused_in_words(field: Field, value: int):
    data = bytearray(4)
    with pytest.raises(ValueError, match=r"the timeout: .* does not fit the field [ui]\d+\(0\)"):
        field.put(data, value, "the timeout")
    assert data == bytes(4)


def test_a_field_that_is_not_all_there():
    with pytest.raises(IndexError, match=r"u32\(2\) ends behind the 5 bytes"):
        u32(2).get(bytes(5))


def test_the_largest_number():
    assert u8(0).most == 255
    assert u16(0).plus(4).most == 65_539
    assert i32(0).most == (1 << 31) - 1
    assert u8(0).masked(0x1F).most == 31


def test_fields_show_how_they_were_written():
    assert str(u16(4).little.masked(0xFFF).plus(2)) == "u16(4).little.masked(0xfff).plus(2)"
    assert str(i32(8)) == "i32(8)"
