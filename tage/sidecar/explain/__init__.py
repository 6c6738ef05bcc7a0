"""Pure: the sections of a plan and one request, described -> what the sidecar would do with it, and why.

``question``    the request that is asked about, read by the data plane's own decoder
``findings``    the answer: structs, the same as JSON
``words``       settings in words, and a guard against settings that have none
``listeners``   which listener and filter chain it meets, by `net.chains`
``routes``      which virtual host and rule, and why not those before it, by `routing`
``upstream``    how the request goes on, by `streams.forwarding` and the encoder
``clusters``    where it goes: endpoints and policies; ``balancing`` asks which of them get it
``filters``     which filters are asked on its way
``policies``    the words of listeners, filters, routes and clusters
``trace``       all of it, in a request's order: `explain`
``apart``       the same in a child process, for the agent

There is no second implementation of routing here: tables and matchers are built from the sections as a worker builds
them, and asked. What is not asked of them is only worded.
"""
