from tage.dataplane.native cimport Random
from tage.dataplane.upstream.balancing.balancer cimport Balancer
from tage.dataplane.upstream.host cimport Host

cdef class Hashing(Balancer):
    cpdef Py_ssize_t place(self, unsigned long long key, Py_ssize_t attempt)
