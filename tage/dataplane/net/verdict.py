"""What a parser of a connection's first bytes answers: `Verdict`.

    MORE        it may become what is looked for; ask again with a longer prefix, `needed` bytes of it
    READY       it is, whole and well-formed
    OTHER       it is another protocol
    MALFORMED   it claims to be what is looked for, and breaks its rules; `error` says how
"""

from enum import IntEnum

import cython

if not cython.compiled:
    # Compiled, these names come from the .pxd.
    Verdict = IntEnum("Verdict", {"MALFORMED": -2, "OTHER": -1, "MORE": 0, "READY": 1})
    MALFORMED, OTHER, MORE, READY = -2, -1, 0, 1
