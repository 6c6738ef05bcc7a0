"""A worker: the process that carries traffic. One thread, uvloop, compiled modules.

``tables``   sections of the plan -> route tables, clusters, listeners; prepared beside the live ones, then swapped
``shared``   what is shared with the other workers: circuit breakers, hosts' health, rate limits
``filters``  of listeners and routes; ``python_filters``, ``protocols``: users' code, which ``loading`` loads
``logs``     the access logs' files
``process``  the channel to the supervisor, the loop, draining
"""
