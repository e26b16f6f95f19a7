-- What is in the bucket, which lines wait, and the tasks that took them. Written by one process, under a lock.
CREATE TABLE IF NOT EXISTS objects (
    name   TEXT PRIMARY KEY,
    sha256 TEXT,              -- of the image; NULL where only the store's tag is known
    tag    TEXT,              -- MD5 as the store tells it
    bytes  INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS lines (
    product_id TEXT NOT NULL,
    pic_name   TEXT NOT NULL,  -- as the row has it
    name       TEXT NOT NULL,  -- of the object, and of the image on the instance
    sha256     TEXT,           -- of the image; NULL where the line deletes
    line       TEXT NOT NULL,
    state      TEXT NOT NULL,  -- staged, asked, done, failed
    task       INTEGER,
    code       TEXT,
    message    TEXT,
    PRIMARY KEY (product_id, pic_name)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS lines_by_name ON lines (name);
CREATE INDEX IF NOT EXISTS lines_by_state ON lines (state, task);

CREATE TABLE IF NOT EXISTS tasks (
    number     INTEGER PRIMARY KEY,
    state      TEXT NOT NULL,  -- new, asking, running, ended
    lines      INTEGER NOT NULL,
    known      TEXT NOT NULL,  -- ids of the folder's tasks before it was asked for, JSON
    mark       TEXT,           -- what changes with the list that it was asked for
    id         TEXT,
    status     TEXT,
    code       TEXT,
    message    TEXT,
    failed     INTEGER NOT NULL DEFAULT 0,
    unread     INTEGER NOT NULL DEFAULT 0,  -- lines of the error file that say nothing of any image
    began_at   TEXT NOT NULL,
    ended_at   TEXT
);

-- What the staging made of each row, for the outcomes.
CREATE TABLE IF NOT EXISTS rows (
    digest BLOB PRIMARY KEY,
    record TEXT NOT NULL
) WITHOUT ROWID;
