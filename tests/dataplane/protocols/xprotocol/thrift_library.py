"""Both sides of a Thrift connection by Apache Thrift's own library: what generated code does with it, by hand."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.protocol.TProtocol import TProtocolBase
from thrift.Thrift import TApplicationException, TMessageType, TType
from thrift.transport.TSocket import TSocket
from thrift.transport.TTransport import TFramedTransport, TMemoryBuffer, TTransportException

Write = Callable[[TProtocolBase], None]


def text_field(protocol: TProtocolBase, number: int, text: str) -> None:
    protocol.writeFieldBegin("text", TType.STRING, number)
    protocol.writeString(text)
    protocol.writeFieldEnd()


def write(protocol: TProtocolBase, name: str, kind: int, sequence: int, text: str = "hello") -> None:
    """A message with a struct of one string, as generated code writes it."""
    protocol.writeMessageBegin(name, kind, sequence)
    protocol.writeStructBegin("arguments")
    text_field(protocol, 0 if kind == TMessageType.REPLY else 1, text)
    protocol.writeFieldStop()
    protocol.writeStructEnd()
    protocol.writeMessageEnd()
    protocol.trans.flush()


def read_text(protocol: TProtocolBase) -> str:
    text = ""
    protocol.readStructBegin()
    while (field := protocol.readFieldBegin())[1] != TType.STOP:
        text = protocol.readString() if field[1] == TType.STRING else protocol.skip(field[1])
        protocol.readFieldEnd()
    protocol.readStructEnd()
    return text


def written(by: Write) -> bytes:
    """What the library writes on a framed transport."""
    memory = TMemoryBuffer()
    by(TBinaryProtocol(TFramedTransport(memory)))
    return bytes(memory.getvalue())


def answering(connection: socket.socket, seen: list[str] | None = None) -> None:
    """The library's server side: what generated processors do. `fail` raises, `hang` takes a second; `seen` gets the
    names."""
    transport = TSocket()
    transport.setHandle(connection)
    protocol = TBinaryProtocol(TFramedTransport(transport))
    try:
        while True:
            name, kind, sequence = protocol.readMessageBegin()
            text = read_text(protocol)
            protocol.readMessageEnd()
            if seen is not None:
                seen.append(name)
            if name == "hang":
                time.sleep(1)
            if kind == TMessageType.CALL and name.endswith("fail"):
                protocol.writeMessageBegin(name, TMessageType.EXCEPTION, sequence)
                TApplicationException(TApplicationException.INTERNAL_ERROR, text).write(protocol)
                protocol.writeMessageEnd()
                protocol.trans.flush()
            elif kind == TMessageType.CALL:
                write(protocol, name, TMessageType.REPLY, sequence, f"{name} {text}")
    except TTransportException as end:
        if end.type != TTransportException.END_OF_FILE:
            raise
    except (ConnectionResetError, BrokenPipeError):
        pass  # a peer that has given up
    finally:
        transport.close()


def ask(protocol: TProtocolBase, name: str, text: str, sequence: int) -> str:
    write(protocol, name, TMessageType.CALL, sequence, text)
    _, kind, answered = protocol.readMessageBegin()
    assert answered == sequence
    if kind == TMessageType.EXCEPTION:
        error = TApplicationException()
        error.read(protocol)
        protocol.readMessageEnd()
        raise error
    result = read_text(protocol)
    protocol.readMessageEnd()
    return result
