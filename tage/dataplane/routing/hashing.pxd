cpdef unsigned long long xxh64(bytes data, unsigned long long seed=*)

cdef unsigned long long _rotate(unsigned long long x, int bits) noexcept
cdef unsigned long long _round(unsigned long long lane, unsigned long long word) noexcept
cdef unsigned long long _merge(unsigned long long result, unsigned long long lane) noexcept
cdef unsigned long long _word(const unsigned char* p, Py_ssize_t at, int size) noexcept
