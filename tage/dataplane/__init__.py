"""What moves bytes. Layers, bottom first; each imports only those above it in this list (import-linter checks it).

``native``      the few C functions, each with a Python twin
``telemetry``   counters and histograms in a mapped file
``net``         connections, listeners, the timer wheel
``protocols``   bytes <-> frames, sans-I/O
``routing``     immutable tables: virtual hosts, matches, weights
``upstream``    clusters, hosts, load balancing, connection pools
``filters``     what may look at or change a request (none yet)
``streams``     one request and its answer, whatever the protocol

A module with a `.pxd` beside it is compiled (Cython, pure Python mode) and runs uncompiled too: ``TAGE_PURE=1``.
"""
