from tage.dataplane.protocols.edits cimport HeaderEdits
from tage.dataplane.protocols.grpc cimport from_http, known, status_of
from tage.dataplane.protocols.message cimport ResponseHead
from tage.dataplane.streams.deadlines cimport Deadlines
from tage.dataplane.streams.downstream cimport DownstreamConnection
from tage.dataplane.streams.record cimport StreamRecord
from tage.dataplane.telemetry.store cimport StatGroup
from tage.dataplane.upstream.cluster cimport Cluster
from tage.dataplane.upstream.host cimport Host

cdef class Outcome(Deadlines):
    cdef DownstreamConnection downstream
    cdef public Cluster cluster
    cdef public Host host
    cdef StreamRecord record
    cdef bint admitted
    cdef bint retrying
    cdef bint replayed
    cdef int tries
    cdef public int status
    cdef int grpc_status
    cdef begin(self)
    cdef begin_record(self)
    cdef StreamRecord described(self)
    cdef record_answer(self, ResponseHead head)
    cdef count_try(self, long long us)
    cdef StatGroup _grpc_stats(self)
    cdef _settle_grpc_status(self)
    cdef count_end(self, bint answered)
    cdef log(self, long long took)
