cdef bytes CLASS
