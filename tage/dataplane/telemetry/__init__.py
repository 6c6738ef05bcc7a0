"""Counters, gauges and histograms, kept by each worker in a mapped file that the agent reads; access logs.

``layout``   the groups of statistics there are, and the histogram's buckets
``store``    the worker's side: cells in the file, incremented in place
``methods``  of requests whose protocol tells service and method: a group for each of them
``reader``   the other side: files -> `Snapshot`, summed over workers
``access_log``  a line a request, in Envoy's formats, written without making traffic wait

A worker that is killed leaves its file; its replacement opens it and counts on, so counters never go back.
"""
