"""A small FHIR R4 server: what a hospital's interface looks like to a kernel, one copy per episode.

`FhirStore` keeps resources in SQLite: a template that many episodes share, unchanged, and beside it
what one episode has written. `make_app` speaks REST over a store, `FhirService` runs it for an
episode, and `changes` says what has become different. It covers reading, searching and writing
single resources and bundles; not versions read back, patches, operations, subscriptions, profiles
or terminology. Resources are checked with `fhir.resources` (its R4B classes: FHIR 4.3, in which the
types served here are those of 4.0.1).
"""
