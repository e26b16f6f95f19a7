"""The embedded instance: the service's wire protocol over a real similarity search, on loopback.

Two halves, written apart. The protocol half (HTTP, signatures, parameters, flow control, faults) knows
the API pages; the search half knows images, vectors and items, and is reached only through
`search.catalogue`. Nothing here shares code with the client but the service's tables of facts and the
filter language, so that a shared misunderstanding of the pages shows.
"""
