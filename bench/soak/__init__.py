"""The soak run: `python -m bench.soak`, or `make soak`. docs/benchmarks.md says what it shows.

A real mesh under `tage up` carries an open-loop load at half of what it can carry, while its routes change every second
and control plane and agents are killed. Not one request may fail.

``mesh.yaml``   the mesh: one service in two versions, retries off
``backend``     the application: answers with what it was asked, so that every byte of an answer can be checked
``load``        the load generator, a process of its own: open loop at a rate, or closed loop
``mesh``        the running mesh: its processes, by their role; its sidecars' state; its end
``changes``     a new weight every second, and when it took effect
``rude``        clients that misbehave meanwhile, and what the workers take
``run``         the schedule: capacity, load, what is killed when, what is checked afterwards
``verdict``     what a run has shown, and what of it is a failure
``report``      the table, and `results/soak.md`
"""
