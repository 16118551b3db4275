-- A file of layout 1, the first that was ever written, with a row in each table. Never edit it.
PRAGMA application_id = 1163281234;
PRAGMA user_version = 1;
CREATE TABLE sessions (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    station TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    generation INTEGER NOT NULL,
    start_key BLOB,
    evse INTEGER NOT NULL,
    connector INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('active', 'ended')),
    started_ns INTEGER NOT NULL,
    ended_ns INTEGER,
    token TEXT,
    meter_start TEXT,
    meter_stop TEXT,
    energy_wh TEXT NOT NULL,
    reason TEXT,
    payment TEXT,
    cost INTEGER,
    currency TEXT,
    basis TEXT NOT NULL,
    told_ns INTEGER NOT NULL,
    UNIQUE (station, transaction_id, generation)
) STRICT;
CREATE INDEX sessions_by_time ON sessions (started_ns, n);
CREATE INDEX sessions_by_start ON sessions (station, start_key) WHERE start_key IS NOT NULL;
CREATE INDEX sessions_active ON sessions (station, started_ns) WHERE state = 'active';
CREATE TABLE records (
    session INTEGER NOT NULL REFERENCES sessions (n),
    seq INTEGER NOT NULL,
    digest BLOB NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('start', 'update', 'end')),
    time_ns INTEGER NOT NULL,
    meter TEXT,
    offline INTEGER NOT NULL,
    conflict INTEGER NOT NULL,
    received_ns INTEGER,
    payload BLOB,
    PRIMARY KEY (session, seq, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX records_with_payload ON records (received_ns)
WHERE payload IS NOT NULL AND kind = 'update' AND conflict = 0;
CREATE TABLE series (
    n INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    evse INTEGER NOT NULL,
    connector INTEGER NOT NULL,
    measurand TEXT NOT NULL,
    phase TEXT NOT NULL,
    unit TEXT NOT NULL,
    location TEXT NOT NULL,
    context TEXT NOT NULL,
    UNIQUE (source, measurand, evse, connector, phase, unit, location, context)
) STRICT;
CREATE TABLE samples (
    session INTEGER NOT NULL REFERENCES sessions (n),
    series INTEGER NOT NULL REFERENCES series (n),
    time_ns INTEGER NOT NULL,
    digits TEXT NOT NULL,
    value REAL NOT NULL,
    quality TEXT NOT NULL,
    signed TEXT,
    fine INTEGER NOT NULL,
    PRIMARY KEY (session, series, time_ns, digits)
) STRICT, WITHOUT ROWID;
CREATE INDEX samples_fine ON samples (time_ns) WHERE fine = 1;
CREATE TABLE registers (
    series INTEGER NOT NULL REFERENCES series (n),
    time_ns INTEGER NOT NULL,
    digits TEXT NOT NULL,
    value REAL NOT NULL,
    quality TEXT NOT NULL,
    fine INTEGER NOT NULL,
    PRIMARY KEY (series, time_ns)
) STRICT, WITHOUT ROWID;
CREATE INDEX registers_fine ON registers (time_ns) WHERE fine = 1;
CREATE TABLE tokens (
    folded TEXT PRIMARY KEY,
    id TEXT NOT NULL,
    status TEXT NOT NULL,
    expires_ns INTEGER,
    grouped TEXT,
    note TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    destination TEXT NOT NULL,
    order_key TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    created_ns INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_ns INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'dead')),
    head INTEGER NOT NULL,
    error TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX outbox_by_key ON outbox (destination, order_key, id) WHERE state = 'waiting';
CREATE INDEX outbox_heads ON outbox (destination, next_ns, id) WHERE state = 'waiting' AND head = 1;
CREATE INDEX outbox_dead ON outbox (destination, id) WHERE state = 'dead';
INSERT INTO sessions VALUES (1, 's-1', 'CP1', '77', 0, NULL, 1, 1, 'ended', 1000000000, 2000000000, 'AABB', '1000', '1250.5', '250.5', 'Local', NULL, 45, 'EUR', '{}', 0);
INSERT INTO records VALUES (1, -1, x'00', 'start', 1000000000, '1000', 0, 0, 1000000001, CAST('{"meterStart":1000}' AS BLOB));
INSERT INTO series VALUES (1, 'CP1', 1, 1, 'Energy.Active.Import.Register', '', 'Wh', 'Outlet', 'Sample.Periodic');
INSERT INTO samples VALUES (1, 1, 1500000000, '1.2505', 1250.5, 'good', NULL, 0);
INSERT INTO registers VALUES (1, 1500000000, '1250.5', 1250.5, 'good', 1);
INSERT INTO tokens VALUES ('aabb', 'AABB', 'Accepted', NULL, NULL, 'Ada');
INSERT INTO outbox (destination, order_key, kind, body, created_ns, head) VALUES ('mqtt', 's-1', 'session.ended', '{"id":"s-1"}', 2000000000, 1);
INSERT INTO records VALUES (1, -1, x'01', 'update', 1500000000, '1100', 0, 0, 1500000001, CAST('{"meterValue":[]}' AS BLOB));
INSERT INTO records VALUES (1, -1, x'02', 'update', 1500000000, '1200', 0, 1, 1500000002, CAST('{"other":[]}' AS BLOB));
