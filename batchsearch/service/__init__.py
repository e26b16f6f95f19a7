"""One call of the Image Search API: what it takes, how it is signed and sent, what the answer means."""
