-- Schema of one instance's items, version 1.

-- What the file is: instance name, service type, the model that made the vectors.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- Ids only ever grow: equal scores are ranked by age, and the index finds rows by bisection.
CREATE TABLE items (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    product_id     TEXT NOT NULL,
    pic_name       TEXT NOT NULL,
    category_id    INTEGER NOT NULL,
    custom_content TEXT,
    int_attr       INTEGER,
    int_attr2      INTEGER,
    int_attr3      INTEGER,
    int_attr4      INTEGER,
    str_attr       TEXT,
    str_attr2      TEXT,
    str_attr3      TEXT,
    str_attr4      TEXT,
    regions        TEXT NOT NULL,    -- JSON: [searched box or null, [every subject's box]], box = [x1,x2,y1,y2]
    UNIQUE (product_id, pic_name)
);

-- Apart from the items, so that changing an attribute does not write a kilobyte again.
CREATE TABLE vectors (
    id     INTEGER PRIMARY KEY REFERENCES items (id),
    vector BLOB NOT NULL             -- little-endian float32, unit length
);
