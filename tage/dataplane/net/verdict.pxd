cpdef enum Verdict:
    MALFORMED = -2
    OTHER = -1
    MORE = 0
    READY = 1
