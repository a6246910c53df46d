"""Questions about the synthetic hospital: structured requests, posed in words, answered twice.

A `Template` draws a `Request`, which never sees the words of the question. The answer comes from
SQL that is generated from the request and run on the database, and again from numpy over the
DataFrames (`view.Events`); where the two differ, the question is dropped and counted.
"""
