"""Filters that users write in Python: `class ApiKey(tage.Filter)`. docs/guides/python-filters.md is the guide.

``api``        what a user writes and returns: `Filter`, `Action`
``headers``    `Headers`: a head's headers as a mapping, decoded one at a time when asked for
``messages``   `Request` and `Response`, as a filter sees them
``instance``   one object of a user's class with its policy and its counters
``filter``     the HTTP filter that calls it: results, failures, calls that are awaited
``watchdog``   who has held the worker for too long, and in which line
``reports``    what goes wrong, told on stderr without waiting for it
``loader``     a file's source -> a module -> a class -> an object
"""
