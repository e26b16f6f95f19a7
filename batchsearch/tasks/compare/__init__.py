"""How alike are these images? Pairs made from a manifest, called by the engine, summed up afterwards.

::

    manifest ──▶ pairs ──────────▶ an ordinary run ──▶ scores ──────────▶ statistics, histogram, matrices
                 compare/           results/, ledger/   scores.parquet     compare.json, matrix/
                 pairs.parquet

A list of images becomes pairs only after their number is known to be within `compare.max_pairs`. Pairs
keep their names from run to run: the row keys of both images, the smaller one first, so that a list that
grows or is sorted anew pays for its new pairs only.
"""
