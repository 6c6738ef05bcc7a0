cimport cython

@cython.final
cdef class Regex:
    cdef object _match
    cdef object _whole
    cdef object _anywhere
    cdef readonly int groups
    cdef readonly bytes prefix
    cpdef bint matches(self, bytes text) except -1

@cython.final
cdef class RegexRewrite:
    cdef readonly bytes pattern
    cdef readonly bytes substitution
    cdef Regex _regex
    cdef list _parts
    cpdef bytes replace(self, bytes text)
