"""What the host can tell of an image's open data: tables, columns, values, and what resembles them.

Answers come from an index of the image that the kernel is started from, and from nothing else: not
from answer keys, and not from what cells have changed since.
"""
