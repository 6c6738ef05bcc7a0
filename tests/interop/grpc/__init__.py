"""gRPC's interop cases (grpc/grpc, doc/interop-test-descriptions.md): grpc-go's own client and server and grpcio's, in
every combination through two sidecars, and grpcio with ten thousand streams at a time."""
