"""The differential test: odd messages through a real sidecar, between a strict client and a strict origin.

What HTTP/1.1 says of the bytes that were sent and what came out on the other side are compared, message for message.
One rule decides all: for every input exactly the messages that are there come out, with the same bodies, or none and an
error; never two where one was sent, never bytes of one taken for another.

``strict``         reads messages as RFC 9112's grammar has them; knows nothing of Tage
``odd``            odd values for every place of a message, from published attacks and from the grammar's edges
``odd_requests``   requests: special cases, and a seeded mutator that combines
``odd_responses``  the same for responses
``lane``           the sockets on both sides of the sidecar, driven by one thread, and when it has read what it was sent
``verdict``        what may come out for what was sent

TAGE_DIFFERENTIAL=N makes it N mutated messages each way (`make differential CASES=N SEED=S`).
"""
