"""Remote-call protocols of frames: a protocol is one class, mostly declaration (docs/guides/add-a-protocol.md).

``fields``       where a number stands in a header
``frame``        the declaration of one kind of frame
``declaration``  reads a class's declarations and says what is wrong with them
``shape``        a frame's declaration as a table of integers; writing a frame with another id
``pairs``        metadata that is a sequence of keys and values
``protocol``     the base class: what is declared it does itself, the rest its subclasses do
``build``        frames from declarations: local replies, heartbeats, frames with other parts
``reader``       bytes -> frames
``message``      frames as the heads that routes, filters and logs know
``edits``        frames with other headers, another service or method
``registry``     the protocols that come with Tage
"""
