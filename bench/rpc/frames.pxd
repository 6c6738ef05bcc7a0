ctypedef unsigned char byte

cdef struct Layout:
    int header
    int count
    int at[4]
    int size[4]

cdef enum:
    MOST = 4096  # bytes of a frame

# nogil: the compiler refuses whatever would touch a Python object.
cdef Py_ssize_t frame_size(const Layout* layout, const byte* frame, Py_ssize_t there) noexcept nogil
cdef void lay_out(Layout* layout, object fixed) except *
cdef void fill(byte* to, bytes data, Py_ssize_t room) except *
