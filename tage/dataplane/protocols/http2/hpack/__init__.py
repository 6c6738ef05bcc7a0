"""HPACK (RFC 7541): header blocks <-> fields.

    bytes --> HpackDecoder --> Fields          FieldTable of Field: what the peer has indexed, checked on insertion
    heads --> HpackEncoder --> bytes           FieldTable and an index by hash: what we have

`huffman` and `static` are the RFC's appendices.
"""
