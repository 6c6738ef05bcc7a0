"""The messages of grpc.testing.TestService (grpc-proto, grpc/testing/messages.proto), as far as the cases need them.
Their descriptors are written down here, so no compiler of .proto files is needed."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FIELD = descriptor_pb2.FieldDescriptorProto
_SCALARS = {"int32": _FIELD.TYPE_INT32, "bytes": _FIELD.TYPE_BYTES, "string": _FIELD.TYPE_STRING}
_FIELDS = {
    "Empty": (),
    "Payload": ((2, "body", "bytes"),),
    "EchoStatus": ((1, "code", "int32"), (2, "message", "string")),
    "SimpleRequest": ((2, "response_size", "int32"), (3, "payload", "Payload"), (7, "response_status", "EchoStatus")),
    "SimpleResponse": ((1, "payload", "Payload"),),
    "StreamingInputCallRequest": ((1, "payload", "Payload"),),
    "StreamingInputCallResponse": ((1, "aggregated_payload_size", "int32"),),
    "ResponseParameters": ((1, "size", "int32"), (2, "interval_us", "int32")),
    "StreamingOutputCallRequest": (
        (2, "response_parameters", "ResponseParameters"),
        (3, "payload", "Payload"),
        (7, "response_status", "EchoStatus"),
    ),
    "StreamingOutputCallResponse": ((1, "payload", "Payload"),),
}
_REPEATED = {"response_parameters"}


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="interop.proto", package="tage.interop", syntax="proto3")
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for number, field, kind in fields:
            label = _FIELD.LABEL_REPEATED if field in _REPEATED else _FIELD.LABEL_OPTIONAL
            if kind in _SCALARS:
                message.field.add(name=field, number=number, label=label, type=_SCALARS[kind])
            else:
                of = f".tage.interop.{kind}"
                message.field.add(name=field, number=number, label=label, type=_FIELD.TYPE_MESSAGE, type_name=of)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tage.interop.{name}")) for name in _FIELDS
    }


_made = _classes()
Empty = _made["Empty"]
SimpleRequest, SimpleResponse = _made["SimpleRequest"], _made["SimpleResponse"]
InputRequest, InputResponse = _made["StreamingInputCallRequest"], _made["StreamingInputCallResponse"]
OutputRequest, OutputResponse = _made["StreamingOutputCallRequest"], _made["StreamingOutputCallResponse"]

SERVICE = "grpc.testing.TestService"
METHODS = {
    "EmptyCall": (Empty, Empty),
    "UnaryCall": (SimpleRequest, SimpleResponse),
    "StreamingInputCall": (InputRequest, InputResponse),
    "StreamingOutputCall": (OutputRequest, OutputResponse),
    "FullDuplexCall": (OutputRequest, OutputResponse),
}
ECHO_INITIAL, ECHO_TRAILING = "x-grpc-test-echo-initial", "x-grpc-test-echo-trailing-bin"
"""Metadata that the server sends back, at the beginning and at the end."""
