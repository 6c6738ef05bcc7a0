"""Connections, whatever is spoken on them.

``timers``       one timer wheel a worker
``connection``   `Connection`: a uvloop transport behind a narrow seam, with back-pressure
``listener``     accepting sockets, their limits and their end
"""
