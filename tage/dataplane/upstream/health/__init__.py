"""Which hosts are fit to be used: what all workers know of it, and the active checks.

``state``    the cells of a host and of a cluster in the workers' file; telling a worker's hosts of changes
``checker``  active health checks of a cluster's hosts: when, and what their results mean
``probes``   one check: HTTP or TCP, on a connection of its own
"""
