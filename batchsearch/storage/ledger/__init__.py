"""The durable record of one output folder: what was answered, what is sealed, what was spent.

The promises, and what each crash window does to them:

* **Rows exactly once.** A row is done when the commit that holds its outcome is on disk, not before.
  Results and hits are written from the ledger alone, so a part can always be written again.
* **Calls at least once, bounded.** A kill repeats at most the calls that were in flight: those whose
  answers had not been committed.
* **A renewed row keeps its old outcome** until the new one is committed, and readers see the old one until
  the new one takes its place: never both, never neither.

======================================  ==========================================================
killed …                                then running again …
======================================  ==========================================================
before a call left                      makes it: nothing was spent
while a call was out                    repeats it: the answer was never seen
after the answer, before its commit     repeats it: the answer was seen by nobody who could keep it
after the commit, before its part       writes the part from the ledger; no call
while a part is written                 removes the temporary file and writes the part again; no call
between the renames of the two files    sets them aside and writes the part again; no call
after the renames, before the seal      sets the files aside and writes the part again; no call
after the seal                          nothing: the part stands and is never touched again
while the next generation is built      removes it and builds it again; no call
after it is noted, before the exchange  exchanges the folders: from the note on there is one way, forward
between the exchanges of two folders    exchanges the other one
after them, before that is noted        notes it
after that, before the old is removed   removes it
======================================  ==========================================================

A generation is all the parts that readers see. It is exchanged as a whole when renewed outcomes take the
place of earlier ones (which go to `history/`) and when `batchsearch compact` merges parts (`parts`).

`schema.sql`, `store` (a run's), `sealed_parts` (what is sealed), `ledger_reader` (anybody's, without touching
it) and `queries` (what all ask) hold the SQL, `from_version_*.sql` bring older ledgers up to date, `commits`
has the transactions, and `tasks.verify.ledger_view` what `batchsearch verify` asks; `lock` keeps a second run
out.
"""
