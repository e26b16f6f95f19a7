-- Schema of the ledger, version 1. Every statement of the store relies on exactly this.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- Rows that have their outcome, sealed or not. The digest is of the row key.
CREATE TABLE rows (
    digest BLOB PRIMARY KEY,
    code   TEXT,                     -- NULL for success
    origin TEXT                      -- NULL for success
) WITHOUT ROWID;

-- Outcomes that no sealed part holds yet. They leave with the seal; their numbers are never given again.
CREATE TABLE pending (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    result  BLOB NOT NULL,           -- one JSON object, the row of results
    hits    BLOB NOT NULL,           -- one JSON object a line, the rows of hits
    carried BLOB NOT NULL            -- the manifest's own columns, one Arrow IPC record batch of one row
);

-- Attempts and answered pages of rows that have no outcome yet. They leave with the outcome.
CREATE TABLE attempts (
    digest BLOB NOT NULL,
    number INTEGER NOT NULL,
    detail TEXT NOT NULL,            -- JSON: page, time, latency, status, code, request id
    PRIMARY KEY (digest, number)
) WITHOUT ROWID;

CREATE TABLE pages (
    digest BLOB NOT NULL,
    page   INTEGER NOT NULL,
    answer BLOB NOT NULL,            -- JSON: what the page adds to the row
    PRIMARY KEY (digest, page)
) WITHOUT ROWID;

-- Requests that have a lasting answer: an equal one needs no call. The answer itself is the outcome with
-- this number, in `pending` or in the first part whose last number is not below it.
CREATE TABLE answers (
    request_key BLOB PRIMARY KEY,    -- SHA-256
    seq         INTEGER NOT NULL,
    answered_at REAL NOT NULL        -- seconds since 1970
) WITHOUT ROWID;

CREATE TABLE parts (
    part        INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    last_seq    INTEGER NOT NULL,
    rows        INTEGER NOT NULL,
    hits        INTEGER NOT NULL,
    results_sha256 TEXT NOT NULL,
    hits_sha256    TEXT NOT NULL,
    sealed_at   TEXT NOT NULL
);

-- Counters by day (UTC), instance and operation: what was spent, and what was spared.
CREATE TABLE usage (
    day       TEXT NOT NULL,
    instance  TEXT NOT NULL,
    operation TEXT NOT NULL,
    counter   TEXT NOT NULL,
    amount    INTEGER NOT NULL,
    PRIMARY KEY (day, instance, operation, counter)
) WITHOUT ROWID;

CREATE TABLE runs (
    run        TEXT PRIMARY KEY,
    started_at TEXT NOT NULL,
    ended_at   TEXT,
    summary    TEXT                  -- JSON
) WITHOUT ROWID;
