cimport cython

from tage.dataplane.telemetry.store cimport StatGroup, StatStore

@cython.final
cdef class MethodStats:
    cdef StatStore _store
    cdef Py_ssize_t _limit
    cdef Py_ssize_t _count
    cdef dict _groups
    cdef str _last_cluster
    cdef bytes _last_path
    cdef StatGroup _last_group
    cpdef count(self, str cluster, bytes path, int status, str flags, long long took_us)
    cdef StatGroup _group(self, str cluster, bytes path)
