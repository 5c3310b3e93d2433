"""SQL migrations for the ledger. Append new migrations, but never change existing ones."""

CREATE_TABLES = """
CREATE TABLE calls (
  id INTEGER PRIMARY KEY,
  started REAL NOT NULL,                   -- seconds since 1970
  day TEXT NOT NULL,                       -- UTC
  account TEXT NOT NULL,                   -- hashed
  model TEXT NOT NULL,
  task TEXT NOT NULL,
  status TEXT NOT NULL,                    -- reserved, or how it ended
  basis TEXT NOT NULL,                     -- of the neurons: billed, estimated, replayed
  neurons REAL NOT NULL,                   -- while reserved, the most it may cost
  tokens_in INTEGER NOT NULL DEFAULT 0,
  tokens_cached INTEGER NOT NULL DEFAULT 0,
  tokens_out INTEGER NOT NULL DEFAULT 0,
  seconds REAL,
  first_token_seconds REAL,
  notebook TEXT NOT NULL,
  kernel TEXT NOT NULL,
  thread TEXT NOT NULL
);
CREATE INDEX calls_reserved ON calls (kernel) WHERE status = 'reserved';
CREATE INDEX calls_billed ON calls (model) WHERE status = 'ok' AND basis = 'billed';

-- Kept by the triggers below, so that a day's sum costs the same after a million calls.
CREATE TABLE totals (
  day TEXT NOT NULL,
  account TEXT NOT NULL,
  kernel TEXT NOT NULL,
  notebook TEXT NOT NULL,
  model TEXT NOT NULL,
  task TEXT NOT NULL,
  calls INTEGER NOT NULL,
  tokens_in INTEGER NOT NULL,
  tokens_out INTEGER NOT NULL,
  billed REAL NOT NULL,
  estimated REAL NOT NULL,
  reserved REAL NOT NULL,
  PRIMARY KEY (day, account, kernel, notebook, model, task)
) WITHOUT ROWID;
CREATE INDEX totals_by_kernel ON totals (kernel);

CREATE TRIGGER calls_added AFTER INSERT ON calls BEGIN
  INSERT INTO totals VALUES (
    NEW.day, NEW.account, NEW.kernel, NEW.notebook, NEW.model, NEW.task,
    1, NEW.tokens_in, NEW.tokens_out,
    iif(NEW.status <> 'reserved' AND NEW.basis = 'billed', NEW.neurons, 0),
    iif(NEW.status <> 'reserved' AND NEW.basis = 'estimated', NEW.neurons, 0),
    iif(NEW.status = 'reserved', NEW.neurons, 0)
  ) ON CONFLICT DO UPDATE SET
    calls = calls + 1,
    tokens_in = tokens_in + excluded.tokens_in,
    tokens_out = tokens_out + excluded.tokens_out,
    billed = billed + excluded.billed,
    estimated = estimated + excluded.estimated,
    reserved = reserved + excluded.reserved;
END;
CREATE TRIGGER calls_changed AFTER UPDATE ON calls BEGIN
  UPDATE totals SET
    tokens_in = tokens_in + NEW.tokens_in - OLD.tokens_in,
    tokens_out = tokens_out + NEW.tokens_out - OLD.tokens_out,
    billed = billed
      + iif(NEW.status <> 'reserved' AND NEW.basis = 'billed', NEW.neurons, 0)
      - iif(OLD.status <> 'reserved' AND OLD.basis = 'billed', OLD.neurons, 0),
    estimated = estimated
      + iif(NEW.status <> 'reserved' AND NEW.basis = 'estimated', NEW.neurons, 0)
      - iif(OLD.status <> 'reserved' AND OLD.basis = 'estimated', OLD.neurons, 0),
    reserved = reserved
      + iif(NEW.status = 'reserved', NEW.neurons, 0)
      - iif(OLD.status = 'reserved', OLD.neurons, 0)
  WHERE day = NEW.day AND account = NEW.account AND kernel = NEW.kernel
    AND notebook = NEW.notebook AND model = NEW.model AND task = NEW.task;
END;

CREATE TABLE budgets (
  scope TEXT NOT NULL,                     -- day, session, notebook
  name TEXT NOT NULL,                      -- of the session or notebook
  neurons REAL NOT NULL,
  PRIMARY KEY (scope, name)
) WITHOUT ROWID;

-- What Cloudflare itself said an account has used, when it was last asked.
CREATE TABLE account_figures (
  day TEXT NOT NULL,
  account TEXT NOT NULL,
  neurons REAL NOT NULL,
  told REAL NOT NULL,                      -- seconds since 1970
  PRIMARY KEY (day, account)
) WITHOUT ROWID;

CREATE TABLE closed_days (
  day TEXT NOT NULL,
  account TEXT NOT NULL,
  PRIMARY KEY (day, account)
) WITHOUT ROWID;
"""

# Lets the daily chart skip calls from earlier years.
CREATE_CALLS_BY_DAY_INDEX = "CREATE INDEX calls_by_day ON calls (day, account);"

ADD_REQUEST_COLUMN = """
ALTER TABLE calls ADD COLUMN request TEXT NOT NULL DEFAULT '';  -- hash of what was asked
CREATE INDEX calls_replayed ON calls (day) WHERE status = 'replayed';
"""

ADD_POOL_TRIGGER = """
-- A pool, of which many calls draw, is a row too as long as there is something in it.
CREATE TRIGGER calls_removed AFTER DELETE ON calls BEGIN
  UPDATE totals SET
    calls = calls - 1,
    reserved = reserved - iif(OLD.status = 'reserved', OLD.neurons, 0)
  WHERE day = OLD.day AND account = OLD.account AND kernel = OLD.kernel
    AND notebook = OLD.notebook AND model = OLD.model AND task = OLD.task;
  DELETE FROM totals
  WHERE day = OLD.day AND account = OLD.account AND kernel = OLD.kernel
    AND notebook = OLD.notebook AND model = OLD.model AND task = OLD.task AND calls = 0;
END;
"""

CREATE_SENDINGS = """
CREATE TABLE sendings (                    -- requests of the last minute, and those that wait
  account TEXT NOT NULL,                   -- hashed
  lane TEXT NOT NULL,                      -- what the rate limit applies to
  at REAL NOT NULL                         -- seconds since 1970
);
CREATE INDEX sendings_by_lane ON sendings (account, lane, at);
"""

CREATE_CLASS_FIGURES = """
CREATE TABLE class_figures (
  account TEXT PRIMARY KEY,                -- hashed
  day TEXT NOT NULL,                       -- UTC
  budget REAL NOT NULL,                    -- of the student, in neurons per day
  spent REAL NOT NULL,                     -- on this day, as the class server counted it
  elsewhere REAL NOT NULL,                 -- the part of spent that is not in this ledger
  reported REAL NOT NULL                   -- seconds since 1970
) WITHOUT ROWID;
"""

MIGRATIONS = (
    ("calls, totals, budgets, closed days", CREATE_TABLES),
    ("calls by day", CREATE_CALLS_BY_DAY_INDEX),
    ("hash of the request, index of replays", ADD_REQUEST_COLUMN),
    ("pools", ADD_POOL_TRIGGER),
    ("send times", CREATE_SENDINGS),
    ("budgets of a class", CREATE_CLASS_FIGURES),
)
