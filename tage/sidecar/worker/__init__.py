"""A worker: the process that carries traffic. One thread, uvloop, compiled modules.

``tables``   sections of the plan -> route tables, clusters, listeners; prepared beside the live ones, then swapped
``limits``   the counts of circuit breakers, shared with the other workers
``logs``     the access logs' files
``process``  the channel to the supervisor, the loop, draining
"""
