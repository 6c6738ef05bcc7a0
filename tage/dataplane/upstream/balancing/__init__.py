"""Which host of a cluster gets a request.

A *balancer* is made for one set of hosts and never learns of another: when endpoints or their health change, new ones
are built beside those in use and take their place (`build`), going on where those stopped.

``settings``      what can be configured
``balancer``      `Balancer`: what all have in common
``round_robin``   hosts in turn, by weight where they have different ones
``random_host``   a host drawn by weight
``least_request`` the least busy of a few
``hashing``       the same host for the same key: ``ring_hash``, ``maglev``, ``bounded``; ``hashes`` builds them
``edf``           turns by weight, earliest deadline first
``localities``, ``priorities``, ``subsets``   lead to balancers of parts of the hosts
``shares``        what each priority gets, and panic
``build``         hosts and settings -> balancers, in slices
"""
