"""RPC rows: what is sent and answered, by processes that cost so little that load and backend fit on one core.

``wires``      the protocols as data: byte templates, and where a frame has its lengths, its id and its kind
``frames``     what backend and generator share, compiled: the size of a frame
``answering``  the backend, compiled: whole reads of frames, answered by one send
``asking``     the load generator, compiled: requests kept under way, every answer compared whole
``serve``      the backend as a process
``generate``   the generator as a process: a closed loop, or an open one at a given rate

`bench.build` compiles. The load that rows use, with the check of equal work, is `bench.load.rpc`.
"""
