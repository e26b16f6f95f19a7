-- A ledger of schema version 1 as one of version 2. When a row was finished and what it came from was not
-- kept then: it counts as finished now, and its source as unknown.

ALTER TABLE rows ADD COLUMN finished_at REAL NOT NULL DEFAULT 0;
ALTER TABLE rows ADD COLUMN outcomes INTEGER NOT NULL DEFAULT 1;
ALTER TABLE rows ADD COLUMN request BLOB;
ALTER TABLE rows ADD COLUMN source BLOB;
ALTER TABLE rows ADD COLUMN seq INTEGER;
UPDATE rows SET finished_at = CAST(strftime('%s', 'now') AS REAL);

CREATE TABLE renewals (
    digest BLOB PRIMARY KEY,
    reason TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE retired (
    seq     INTEGER PRIMARY KEY,
    request BLOB NOT NULL
);

ALTER TABLE pending RENAME COLUMN result TO result_before;
ALTER TABLE pending RENAME TO pending_before;
CREATE TABLE pending (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    replaces INTEGER NOT NULL,
    result   BLOB NOT NULL,
    hits     BLOB NOT NULL,
    carried  BLOB NOT NULL
);
INSERT INTO pending SELECT seq, 0, result_before, hits, carried FROM pending_before;
INSERT INTO sqlite_sequence (name, seq)
    SELECT 'pending', 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'pending');
UPDATE sqlite_sequence SET seq = max(seq, coalesce(
    (SELECT seq FROM sqlite_sequence WHERE name = 'pending_before'), 0)) WHERE name = 'pending';
DROP TABLE pending_before;

ALTER TABLE parts RENAME TO parts_before;
CREATE TABLE parts (
    part      INTEGER PRIMARY KEY AUTOINCREMENT,
    place     TEXT NOT NULL,
    stays     INTEGER NOT NULL,
    name      TEXT NOT NULL UNIQUE,
    first_seq INTEGER NOT NULL,
    last_seq  INTEGER NOT NULL,
    rows      INTEGER NOT NULL,
    hits      INTEGER NOT NULL,
    results_sha256 TEXT NOT NULL,
    hits_sha256    TEXT NOT NULL,
    sealed_at      TEXT NOT NULL
);
INSERT INTO parts
    SELECT part, 'current', 0, name,
        1 + coalesce((SELECT max(earlier.last_seq) FROM parts_before AS earlier
                      WHERE earlier.part < parts_before.part), 0),
        last_seq, rows, hits, results_sha256, hits_sha256, sealed_at
    FROM parts_before;
DROP TABLE parts_before;
