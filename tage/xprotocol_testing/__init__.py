"""Testing protocols of one's own, without sockets and without waiting.

``fakes``    an event loop, its clock and its transports that only the test moves
``world``    one worker's data plane between a test's clients and its servers
"""
