cimport cython

from tage.dataplane.filters.filter cimport CONTINUE, REPLIED, STOPPED, Exchange, HttpFilter
from tage.dataplane.filters.python.instance cimport FilterInstance
from tage.dataplane.filters.python.messages cimport Reply, Request, Response, request_of, response_of
from tage.dataplane.filters.python.watchdog cimport ON_REQUEST, ON_RESPONSE, Watch
from tage.dataplane.net.timers cimport Timer
from tage.dataplane.protocols.message cimport ResponseHead

@cython.final
cdef class PythonFilter(HttpFilter):
    cdef readonly FilterInstance instance
    cdef readonly Watch watch
    cdef readonly dict routes
    cdef FilterInstance _of_route(self, object settings)
    cdef int _settle(self, FilterInstance instance, int phase, Exchange exchange, Request request, Response response, object result, bint may_wait) except -1
    cdef int _hold(self, FilterInstance instance, int phase, Exchange exchange, Request request, Response response, object result) except -1
    cdef int _reply(self, FilterInstance instance, Exchange exchange, Request request) except -1
    cdef int _failed(self, FilterInstance instance, Exchange exchange) except -1
    cdef _leave(self, FilterInstance instance, int phase, Exchange exchange, Request request, Response response)

@cython.final
cdef class HeldCall(Timer):
    cdef PythonFilter filter
    cdef FilterInstance instance
    cdef int phase
    cdef Exchange exchange
    cdef Request request
    cdef Response response
    cdef object task
    cdef start(self, object awaitable)
    cdef give_up(self)
    cdef _fail(self, Exchange exchange)
    cdef _part(self)

cdef _resume(Exchange exchange, int verdict)
