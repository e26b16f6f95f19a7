"""Images: fetched from where the manifest says, checked against the service's rules, repaired if need be.

The way of an image: `fetching.fetch` brings bytes, `inspect` reads their structure without a decoder,
`verdict` compares that with the `rules`, and only what needs repair goes through `decoding.encode`. `prepare`
is all of it after the bytes are there, `workshop` the whole; `regions` carries coordinates between the file
and what was sent, `image_identity` says what an image is known by.
"""
