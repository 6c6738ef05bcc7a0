"""What the author of a protocol writes against (docs/guides/add-a-protocol.md).

from tage.xprotocol import Frame, Protocol, pairs, u8, u16, u32

class Ledger(Protocol):
    \"\"\"Ledger 1\"\"\"

    name = "ledger"
    request = Frame({0: b"LG\\x01", 3: 1}, header=24, id=u32(4), timeout=u32(8),
                    parts=dict(service=u16(12), method=u16(14), metadata=u32(16), body=u32(20)))
    response = Frame({0: b"LG\\x01", 3: 0}, header=24, id=u32(4), status=u16(8),
                     parts=dict(metadata=u32(16), body=u32(20)))
    metadata = pairs(u16)
"""

from tage.dataplane.protocols.xprotocol.declaration import ProtocolError
from tage.dataplane.protocols.xprotocol.fields import Field, i32, u8, u16, u24, u32, u64
from tage.dataplane.protocols.xprotocol.frame import Frame, Kind
from tage.dataplane.protocols.xprotocol.pairs import Pairs, pairs
from tage.dataplane.protocols.xprotocol.protocol import Protocol
from tage.dataplane.protocols.xprotocol.shape import Shape

__all__ = [
    "Field",
    "Frame",
    "Kind",
    "Pairs",
    "Protocol",
    "ProtocolError",
    "Shape",
    "i32",
    "pairs",
    "u8",
    "u16",
    "u24",
    "u32",
    "u64",
]
