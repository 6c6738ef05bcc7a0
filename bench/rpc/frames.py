"""What backend and generator share: the size of a frame from its fixed part (`bench.rpc.wires.Fixed`).

Compiled by `bench.build` (Cython's pure Python mode, types in the .pxd); it does not run uncompiled.
"""

import cython


def frame_size(layout, frame, there):
    """Bytes of the frame that begins here; 0 when it is not whole yet, -1 when it is longer than `MOST`."""
    i: cython.int
    k: cython.int
    size: cython.Py_ssize_t = layout.header
    length: cython.size_t
    if there < layout.header:
        return 0
    for i in range(layout.count):
        length = 0
        for k in range(layout.size[i]):
            length = length << 8 | frame[layout.at[i] + k]
        if length > MOST:
            return -1
        size += length
    if size > MOST:
        return -1
    return size if size <= there else 0


def lay_out(layout, fixed):
    i: cython.int
    if len(fixed.lengths) > 4:
        raise ValueError(f"{len(fixed.lengths)} lengths in a frame; 4 are the most")
    layout.header = fixed.header
    layout.count = len(fixed.lengths)
    for i in range(layout.count):
        layout.at[i], layout.size[i] = fixed.lengths[i]


def fill(to, data, room):
    i: cython.Py_ssize_t
    if len(data) > room:
        raise ValueError(f"a template of {len(data)} bytes; {room} are the most")
    for i in range(len(data)):
        to[i] = data[i]
