from tage.dataplane.native cimport Random

cdef class Destination:
    cdef public list clusters
    cdef public list weights
    cdef Py_ssize_t _total
    cdef Py_ssize_t _single
    cpdef Py_ssize_t pick(self, Random random) except -1
    cpdef str pick_cluster(self, Random random)
