from tage.dataplane.native cimport Random
from tage.dataplane.upstream.host cimport Host

cdef class Balancer:
    cdef readonly list hosts
    cdef readonly bint foresees
    cpdef Host pick(self, Random random, unsigned long long key, Py_ssize_t attempt)
    cpdef Host other(self, list tried)
    cpdef follow(self, Balancer former)
