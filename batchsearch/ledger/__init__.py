"""The durable record of one output folder: what was answered, what is sealed, what was spent.

The promises, and what each crash window does to them:

* **Rows exactly once.** A row is done when the commit that holds its outcome is on disk, not before.
  Results and hits are written from the ledger alone, so a part can always be written again.
* **Calls at least once, bounded.** A kill repeats at most the calls that were in flight: those whose
  answers had not been committed.

======================================  ==========================================================
killed …                                then running again …
======================================  ==========================================================
before a call left                      makes it: nothing was spent
while a call was out                    repeats it: the answer was never seen
after the answer, before its commit     repeats it: the answer was seen by nobody who could keep it
after the commit, before its part       writes the part from the ledger; no call
while a part is written                 removes the temporary file and writes the part again; no call
between the renames of the two files    removes both and writes the part again; no call
after the renames, before the seal      removes the unsealed files and writes the part again; no call
after the seal                          nothing: the part stands and is never touched again
======================================  ==========================================================

`schema.sql`, `store` (a run's), `reader` (anybody's, without touching it) and `queries` (what both ask) hold
all the SQL, `commits` the transactions; `lock` keeps a second run out.
"""
