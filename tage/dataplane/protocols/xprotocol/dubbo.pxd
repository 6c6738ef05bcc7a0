cimport cython

from tage.dataplane cimport native
from tage.dataplane.protocols.xprotocol.hessian cimport FINAL, HessianReader
from tage.dataplane.protocols.xprotocol.hessian_map cimport StringMap
from tage.dataplane.protocols.xprotocol.hessian_text cimport string_end, string_text
from tage.dataplane.protocols.xprotocol.protocol cimport Protocol
from tage.dataplane.protocols.xprotocol.shape cimport REQUEST, RESPONSE, Shape

cdef class Dubbo(Protocol):
    cdef HessianReader _reader
    cdef tuple call_of(self, bytes frame, Shape shape)
    cpdef tuple names(self, bytes frame, Shape shape)
    cpdef list headers(self, bytes frame, Shape shape)
    cpdef bytes with_headers(self, bytes frame, Shape shape, list headers)
    cpdef bytes with_names(self, bytes frame, Shape shape, bytes service, bytes method)
    cpdef bytes reply(self, bytes request, Shape shape, int status, bytes message)
    cpdef bytes heartbeat_frame(self)
    cpdef bytes heartbeat_answer(self, bytes frame, Shape shape)
    cpdef bytes go_away_frame(self)
    cpdef int classify(self, bytes frame, Shape shape) except? -1
    cpdef bytes example(self, object kind)
