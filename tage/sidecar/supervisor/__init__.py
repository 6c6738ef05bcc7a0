"""The process that a sidecar's life hangs on, kept so small that it has no reason to die.

It owns what must outlive agent and workers: the listening sockets and the plan in force. A worker that is replaced gets
both, whether or not the agent is alive; connections that arrive in between wait in the socket's backlog.

``update``    the two-phase update of the plan as a pure state machine: events in, commands out
``sockets``   the listening sockets, one per address and worker
``children``  starting a child on its channel, and how long to wait before the next try
``rundir``    the directory of the workers' statistics, and of what they share
``loop``      the `selectors` loop that joins them: channels, signals, timers, the end

``python -m tage.sidecar.supervisor --run-dir DIR --workers N [--drain-seconds S] -- AGENT_ARGV...``

Nothing here imports asyncio, gRPC, protobuf, argparse or subprocess: what it imports stays in memory for good.
"""
