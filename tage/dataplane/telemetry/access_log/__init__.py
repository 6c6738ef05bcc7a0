"""Access logs: one line a request (or a connection, or a call), in Envoy's formats.

``record``      `Record`: what there is to say of one request; a stream fills it in
``operators``   ``%DURATION%`` and the like: a text with operators -> what reads them off a record
``start_time``  ``%START_TIME(...)%``
``format``      `TextFormat`, `JsonFormat`: compiled once, then record -> bytes
``file``        `LogFile`: a bounded buffer in front of a file, a pipe or standard output, and the thread that writes it
``log``         `AccessLog`: a format and the file it goes to

Without a log a request costs one comparison with None. With one, the worker's thread formats the record and puts the
line into a buffer; it never writes, so no disk and no reader of a pipe can hold traffic up.
"""
