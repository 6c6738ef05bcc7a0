cimport cython

from tage.dataplane cimport native
from tage.dataplane.protocols.edits cimport HeaderEdits, line_value
from tage.dataplane.protocols.message cimport HeaderBlock, RequestHead, same
from tage.dataplane.routing.regex cimport Regex

cpdef enum StringKind:
    PRESENT = 0
    EXACT = 1
    PREFIX = 2
    SUFFIX = 3
    CONTAINS = 4
    REGEX = 5
    SEPARATED_PREFIX = 6

cdef enum Pseudo:
    NONE = 0
    METHOD = 1
    AUTHORITY = 2
    PATH = 3
    SCHEME = 4
    UNKNOWN = 5

@cython.final
cdef class StringMatcher:
    cdef public int kind
    cdef public bytes value
    cdef public bint ignore_case
    cdef Regex _regex
    cpdef bint matches(self, bytes text) except -1
    cdef bint within(self, bytes data, Py_ssize_t start, Py_ssize_t end) except -1
    cdef bint _at(self, bytes data, Py_ssize_t start) except -1

@cython.final
cdef class HeaderMatcher:
    cdef public bytes name
    cdef public StringMatcher value
    cdef public bint invert
    cdef public bint missing_is_empty
    cdef public tuple range
    cdef int _pseudo
    cdef int _first
    cdef bytes _text(self, RequestHead head)
    cdef bint _judge(self, bytes text) except -1
    cdef bint _holds(self, HeaderBlock block, Py_ssize_t i) except -1
    cpdef bint matches(self, RequestHead head) except -1
    cpdef bint matches_block(self, HeaderBlock block) except -1

@cython.final
cdef class QueryMatcher:
    cdef public bytes name
    cdef public StringMatcher value
    cdef public bint absent
    cpdef bint matches(self, bytes path) except -1

cpdef bytes first_value(RequestHead head, HeaderEdits edits, bytes name)
cdef Py_ssize_t query_start(bytes path)
cpdef bytes query_value(bytes path, bytes name)
