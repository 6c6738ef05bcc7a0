from tage.dataplane.telemetry.access_log.record cimport Record

cdef class Operator:
    cpdef object value(self, Record record)

cdef class Attribute(Operator):
    cdef str _name

cdef class Milliseconds(Operator):
    cdef str _name

cdef class Address(Operator):
    cdef str _name
    cdef int _part

cdef class Header(Operator):
    cdef bytes _name
    cdef bytes _alternative
    cdef Py_ssize_t _limit
    cdef int _of
    cdef bint _without_query
    cdef bytes _found(self, Record record, bytes name)

cdef class StartTime(Operator):
    cdef object _format
    cdef long long _unit
    cdef long long _last
    cdef str _text

cdef class Constant(Operator):
    cdef object _value

cdef class LongFlags(Operator):
    pass

cdef class Count(Operator):
    cdef str _name

cdef class GrpcStatus(Operator):
    cdef tuple _names

cdef class ResponseSending(Operator):
    pass

cdef class Tls(Operator):
    cdef object _of
