from tage.dataplane.native cimport Random

cdef class Destination:
    cdef public list clusters
    cdef public list weights
    cdef Py_ssize_t _total
    cdef str _single
    cpdef str pick_cluster(self, Random random)
