-- Batch tasks of one instance, beside its items.

CREATE TABLE IF NOT EXISTS tasks (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    kind     TEXT NOT NULL,              -- increment or dump
    status   TEXT NOT NULL,              -- PROCESSING, SUCCESS or FAIL
    code     TEXT,
    message  TEXT,
    bucket   TEXT,
    path     TEXT,
    callback TEXT,
    created  INTEGER NOT NULL,           -- milliseconds since 1970
    modified INTEGER NOT NULL,
    tag      TEXT,                       -- of an increment's list: what changes with its content
    position INTEGER NOT NULL DEFAULT 0, -- bytes of the list that are done
    line     INTEGER NOT NULL DEFAULT 0, -- lines that are done, or written
    failed   INTEGER NOT NULL DEFAULT 0
);

-- Lines of an increment that failed.
CREATE TABLE IF NOT EXISTS task_failures (
    task       INTEGER NOT NULL,
    line       INTEGER NOT NULL,
    product_id TEXT,
    pic_name   TEXT,
    code       TEXT NOT NULL,
    message    TEXT NOT NULL,
    PRIMARY KEY (task, line)
) WITHOUT ROWID;

-- What a dump wrote, in pieces, each compressed (zlib).
CREATE TABLE IF NOT EXISTS dumped (
    task    INTEGER NOT NULL,
    number  INTEGER NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (task, number)
) WITHOUT ROWID;
