"""An output in an object store: worked on in a local folder, carried there whole, taken up again elsewhere.

::

    output.dir = s3://bucket/night            work folder on this machine
    ├── results/part-000001-<sha>.parquet     ├── results/part-000001.parquet
    ├── hits/part-000001-<sha>.parquet        ├── hits/part-000001.parquet
    ├── summary.json                          ├── summary.json
    └── _carried/                             ├── ledger/ledger.sqlite3
        ├── index/00000007.json               └── carried.json
        ├── ledger/00000007-00000003.sqlite3
        └── lease/00000007.json

What holds at every moment, whatever is killed:

* **The index names whole files only.** Objects have the SHA-256 of their content in their names, so that none
  is ever overwritten by another; each appears with one upload; the index that names them comes after them,
  and what only the index before it names is removed after that.
* **Index and ledger agree.** The files in an index are read from the very copy of the ledger that the same
  index names, so another machine resumes from one moment of the run: it loses at most what was answered
  since then. Nothing that was carried is asked for again.
* **One run.** Every run takes the next *generation* by making its lease, which only one can do
  (`If-None-Match`). A lease that was not renewed for `lapse` seconds, by the store's clock, has lapsed.
  Indexes are named by generation and the highest counts: what a run writes that lost its lease and does not
  know yet is seen by nobody.
"""
