"""Fuzz targets of what reads bytes from the network: `python -m fuzz TARGET --seconds N`, `make fuzz SECONDS=60`.

``target``    what a target is: seeds, a check that raises where an invariant is broken
``targets``   one module a parser
``mutate``    changing inputs: bytes, lengths, tokens, pieces of other inputs
``driver``    seeds -> mutations -> checks; an input that makes a parser tell something new is kept and mutated further
``engine``    the same targets under atheris (libFuzzer), where that is installed: guided by coverage

Invariants that every target checks: nothing is raised; a refusal is one of the declared errors; whole, byte by byte and
in any cut the same bytes tell the same; memory does not grow with what a peer sends.
"""
