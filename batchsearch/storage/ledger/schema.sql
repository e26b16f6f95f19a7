-- Schema of the ledger, version 2. Every statement of the store relies on exactly this.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- Rows that have their outcome, sealed or not. The digest is of the row key.
CREATE TABLE rows (
    digest      BLOB PRIMARY KEY,
    code        TEXT,                -- NULL for success
    origin      TEXT,                -- NULL for success
    finished_at REAL NOT NULL,       -- seconds since 1970
    outcomes    INTEGER NOT NULL,    -- how many it has had; all but the latest are in `history/`
    request     BLOB,                -- first 16 bytes of the request key; NULL when no request could be made
    source      BLOB,                -- what the manifest and the picture's file said then; NULL when unknown
    seq         INTEGER              -- number of its outcome; NULL when unknown
) WITHOUT ROWID;

-- Rows that have an outcome and are to get another one. A mark leaves with the new outcome.
CREATE TABLE renewals (
    digest BLOB PRIMARY KEY,
    reason TEXT NOT NULL             -- changed, expired, passing or retry
) WITHOUT ROWID;

-- Outcomes that were replaced by pending or staged ones: when those take their place, they answer nothing more.
CREATE TABLE retired (
    seq     INTEGER PRIMARY KEY,
    request BLOB NOT NULL            -- first 16 bytes of the request key
);

-- Outcomes that no sealed part holds yet. They leave with the seal; their numbers are never given again.
CREATE TABLE pending (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    replaces INTEGER NOT NULL,       -- 1 when the row had an outcome before, else 0
    result   BLOB NOT NULL,          -- one JSON object, the row of results
    hits     BLOB NOT NULL,          -- one JSON object a line, the rows of hits
    carried  BLOB NOT NULL           -- the manifest's own columns, one Arrow IPC record batch of one row
);

-- Attempts and answered pages of rows that are being worked on. They leave with the outcome.
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
-- this number, in `pending` or in a part whose numbers reach over it.
CREATE TABLE answers (
    request_key BLOB PRIMARY KEY,    -- SHA-256
    seq         INTEGER NOT NULL,
    answered_at REAL NOT NULL        -- seconds since 1970
) WITHOUT ROWID;

-- Sealed pairs of files. A part's number is part of its name and never given again.
CREATE TABLE parts (
    part      INTEGER PRIMARY KEY AUTOINCREMENT,
    place     TEXT NOT NULL,         -- current (readers see it), staged, coming or history
    stays     INTEGER NOT NULL,      -- 1: in the generation of parts that is coming, too
    name      TEXT NOT NULL UNIQUE,
    first_seq INTEGER NOT NULL,
    last_seq  INTEGER NOT NULL,
    rows      INTEGER NOT NULL,
    hits      INTEGER NOT NULL,
    results_sha256 TEXT NOT NULL,
    hits_sha256    TEXT NOT NULL,    -- empty for history, which has no hits
    sealed_at      TEXT NOT NULL
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
