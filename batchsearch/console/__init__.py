"""The console: a local web page where a person tries queries, looks at answers and sees runs.

It is the console method of the vendor's page "Image query" (2026-01), for the embedded instance and for a
purchased one. Credentials stay in this process; the browser sees answers only.
"""
