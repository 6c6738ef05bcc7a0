"""prices: what a book costs. gRPC, with messages that protobuf brings along:

    package com.tage.bookshop;
    service Prices {
      rpc Of(google.protobuf.Int32Value) returns (google.protobuf.Struct);
      rpc Changes(google.protobuf.Int32Value) returns (stream google.protobuf.Struct);   // year by year
    }

Version 2 also says in which currency.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import Int32Value

VERSION = os.environ.get("VERSION", "v1")
SERVICE = "com.tage.bookshop.Prices"
CHANGES = {1: {2023: 9.5, 2024: 11, 2025: 12.5}, 2: {2024: 20, 2025: 18}}


def changes(request: Int32Value, context: grpc.ServicerContext) -> Iterator[Struct]:
    if request.value not in CHANGES:
        context.abort(grpc.StatusCode.NOT_FOUND, f"no price of {request.value}")
    for year, price in CHANGES[request.value].items():
        fields: dict[str, Any] = {"version": VERSION, "price": price, "year": year}
        if VERSION != "v1":
            fields["currency"] = "EUR"
        message = Struct()
        message.update(fields)
        yield message


def of(request: Int32Value, context: grpc.ServicerContext) -> Struct:
    *_, last = changes(request, context)
    return last


if __name__ == "__main__":
    messages = {
        "request_deserializer": Int32Value.FromString,
        "response_serializer": Struct.SerializeToString,
    }
    methods = {
        "Of": grpc.unary_unary_rpc_method_handler(of, **messages),
        "Changes": grpc.unary_stream_rpc_method_handler(changes, **messages),
    }
    address = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8080')}"
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, methods)])
    server.add_insecure_port(address)
    server.start()
    print(f"prices listens on {address}", flush=True)
    server.wait_for_termination()
