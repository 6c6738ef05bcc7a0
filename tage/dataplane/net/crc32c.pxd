cpdef unsigned int crc32c(bytes data, Py_ssize_t start, Py_ssize_t end, unsigned int crc=*) noexcept
