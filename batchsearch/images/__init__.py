"""Images: fetched from where the manifest says, checked against the service's rules, repaired if need be.

The way of an image: `fetch` brings bytes, `inspect` reads their structure without a decoder, `verdict`
compares that with the `rules`, and only what needs repair goes through `encode`. `prepare` is all of it
in one call; `regions` carries coordinates between the file and what was sent.
"""
