"""quote: a line for whoever connects (RFC 865). Plain TCP: nothing is asked, and nobody on the way looks into it."""

import os
import socketserver

QUOTES = (
    "Small cheer and great welcome makes a merry feast. (The Comedy of Errors)",
    "Truth becomes fiction when the fiction's true. (Dream of the Red Chamber)",
)


class Handler(socketserver.BaseRequestHandler):
    count = 0

    def handle(self) -> None:
        Handler.count += 1
        self.request.sendall(QUOTES[Handler.count % len(QUOTES)].encode() + b"\r\n")


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128


if __name__ == "__main__":
    address = (os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "8080")))
    with Server(address, Handler) as server:
        print(f"quote listens on {address[0]}:{address[1]}", flush=True)
        server.serve_forever()
