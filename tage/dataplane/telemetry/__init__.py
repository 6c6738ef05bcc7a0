"""Counters, gauges and histograms, kept by each worker in a mapped file that the agent reads.

``layout``   the groups of statistics there are, and the histogram's buckets
``store``    the worker's side: cells in the file, incremented in place
``reader``   the other side: files -> `Snapshot`, summed over workers

A worker that is killed leaves its file; its replacement opens it and counts on, so counters never go back.
"""
