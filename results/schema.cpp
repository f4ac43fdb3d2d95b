#include "results/schema.h"

#include <filesystem>
#include <stdexcept>

namespace moebench {
namespace {

// REAL columns that hold results: NULL is "not a number" (a diverged model's perplexity); infinities are themselves.
const std::string kVersion1 = R"sql(
CREATE TABLE machine(
  id INTEGER PRIMARY KEY,
  fingerprint TEXT NOT NULL UNIQUE,   -- SHA-256 of the other columns
  cpu TEXT NOT NULL, gpu TEXT NOT NULL, driver TEXT NOT NULL, os TEXT NOT NULL,
  memory_bytes INTEGER NOT NULL,
  class TEXT NOT NULL                 -- runs of different classes are not compared in time
) STRICT;

CREATE TABLE build(
  id INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,          -- SHA-256 of the other columns
  git_commit TEXT NOT NULL, dirty INTEGER NOT NULL CHECK(dirty IN (0, 1)),
  compiler TEXT NOT NULL, flags TEXT NOT NULL, torch_version TEXT NOT NULL, cuda_version TEXT NOT NULL
) STRICT;

CREATE TABLE config(
  id INTEGER PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,          -- SHA-256 of json
  json TEXT NOT NULL                  -- canonical, fully resolved
) STRICT;

CREATE TABLE dataset(
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL, split TEXT NOT NULL,
  content_hash TEXT NOT NULL, tokenizer_hash TEXT NOT NULL,
  tokens INTEGER NOT NULL,
  UNIQUE(content_hash, tokenizer_hash, name, split, tokens)
) STRICT;

CREATE TABLE model(
  id INTEGER PRIMARY KEY,
  parent_id INTEGER REFERENCES model(id),
  role TEXT NOT NULL,                 -- dense, converted, retrained, exported; '' where only a child has been recorded
  path TEXT NOT NULL,
  weights_hash TEXT NOT NULL UNIQUE,
  architecture TEXT NOT NULL,
  json TEXT NOT NULL
) STRICT;

CREATE TABLE run(
  id INTEGER PRIMARY KEY,
  uuid TEXT NOT NULL UNIQUE,
  cell_key TEXT NOT NULL,             -- content key of the stage
  config_id INTEGER NOT NULL REFERENCES config(id),
  build_id INTEGER NOT NULL REFERENCES build(id),
  machine_id INTEGER NOT NULL REFERENCES machine(id),
  model_id INTEGER REFERENCES model(id),
  dataset_id INTEGER REFERENCES dataset(id),
  seed INTEGER NOT NULL,
  stage TEXT NOT NULL,                -- convert, measure
  status TEXT NOT NULL CHECK(status IN ('completed', 'failed')),
  started REAL NOT NULL, ended REAL NOT NULL,   -- seconds since the epoch
  exit_code INTEGER NOT NULL,
  error TEXT NOT NULL                 -- one sentence; '' where completed
) STRICT;
CREATE UNIQUE INDEX run_completed_cell ON run(cell_key) WHERE status = 'completed';
CREATE INDEX run_cell ON run(cell_key);

CREATE TABLE series(                  -- values of one series compare with each other
  id INTEGER PRIMARY KEY,
  metric TEXT NOT NULL,               -- says the protocol: wikitext2/gptq-2048/ppl
  unit TEXT NOT NULL,
  direction TEXT NOT NULL CHECK(direction IN ('lower', 'higher', 'neither')),   -- which is better
  bench TEXT NOT NULL,                -- the task, or the stage where there is no task
  bench_version TEXT NOT NULL,        -- SHA-256 of data and tokenizer; '' without data
  params_json TEXT NOT NULL,          -- the task's options
  UNIQUE(metric, unit, direction, bench, bench_version, params_json)
) STRICT;

CREATE TABLE sample(
  run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE,
  series_id INTEGER NOT NULL REFERENCES series(id),
  rep INTEGER NOT NULL,               -- repetition, from 0
  value REAL,
  PRIMARY KEY(run_id, series_id, rep)
) STRICT, WITHOUT ROWID;

CREATE TABLE stat(
  run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE,
  series_id INTEGER NOT NULL REFERENCES series(id),
  n INTEGER NOT NULL,                 -- what the value is computed over: windows, items, tokens
  mean REAL,                          -- of the repetitions
  standard_error REAL,                -- over those n; NULL where there is none
  median REAL, lo REAL, hi REAL,      -- of the repetitions; NULL where there is one
  method TEXT NOT NULL,               -- how lo and hi were found; '' where there are none
  PRIMARY KEY(run_id, series_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE item(                    -- per-document scores: two models are compared on the same items
  run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE,
  task TEXT NOT NULL,
  item_id TEXT NOT NULL,
  nll REAL,                           -- sum of negative log-likelihood, nats
  tokens INTEGER NOT NULL,
  correct INTEGER CHECK(correct IN (0, 1)),   -- NULL where nothing is right or wrong
  PRIMARY KEY(run_id, task, item_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE artifact(
  id INTEGER PRIMARY KEY,
  run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE,
  kind TEXT NOT NULL, path TEXT NOT NULL, sha256 TEXT NOT NULL,
  bytes INTEGER NOT NULL
) STRICT;
CREATE INDEX artifact_run ON artifact(run_id);

CREATE TABLE baseline(
  name TEXT NOT NULL,
  series_id INTEGER NOT NULL REFERENCES series(id),
  run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE,
  set_by TEXT NOT NULL, reason TEXT NOT NULL,
  at REAL NOT NULL,                   -- seconds since the epoch
  PRIMARY KEY(name, series_id, run_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE comparison(
  id INTEGER PRIMARY KEY,
  base_run INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE,
  new_run INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE,
  series_id INTEGER NOT NULL REFERENCES series(id),
  delta REAL, p REAL, lo REAL, hi REAL,
  verdict TEXT NOT NULL,
  rule_json TEXT NOT NULL
) STRICT;
)sql";

// Items of one source share a cluster; '' is one of its own.
const std::string kVersion2 = "ALTER TABLE item ADD COLUMN cluster TEXT NOT NULL DEFAULT '';";

const std::string kMigrations[] = {kVersion1, kVersion2};

int64_t schema_version(const Database& database) { return database.integer("PRAGMA user_version"); }

std::string subject(const Database& database) { return database.path().string() + ": "; }

void refuse_newer(const Database& database, size_t known) {
  const int64_t version = schema_version(database);
  if (version < 0 || version > static_cast<int64_t>(known)) {
    throw std::runtime_error(subject(database) + "has schema version " + std::to_string(version) +
                             ", this moebench knows " + std::to_string(known) +
                             "; made by a newer moebench: update this one, or name another file with --db");
  }
}

void refuse_foreign(const Database& database) {
  if (database.integer("PRAGMA application_id") == kApplicationId) return;
  const bool is_empty = database.integer("SELECT count(*) FROM sqlite_schema") == 0 && schema_version(database) == 0;
  if (!is_empty) {
    throw std::runtime_error(subject(database) +
                             "is a database of another program, not of moebench; name another file with --db");
  }
}

// SQLite sees missing pages, but takes a last page that was cut short for one that ends in zeros.
void refuse_part_of_a_page(const Database& database) {
  std::error_code in_memory;
  const uintmax_t bytes = std::filesystem::file_size(database.path(), in_memory);
  if (in_memory || bytes % static_cast<uintmax_t>(database.integer("PRAGMA page_size")) == 0) return;
  throw std::runtime_error(subject(database) + "the results database is damaged (cut short at byte " +
                           std::to_string(bytes) + "); restore a copy, or name another file with --db");
}

}  // namespace

std::span<const std::string> migrations() { return kMigrations; }

void migrate(const Database& database, std::span<const std::string> migrations) {
  refuse_foreign(database);
  refuse_part_of_a_page(database);
  refuse_newer(database, migrations.size());
  if (schema_version(database) == static_cast<int64_t>(migrations.size())) return;
  Transaction transaction(database, Transaction::Kind::kWrite);
  // Read again under the lock: another process may have migrated meanwhile.
  for (auto version = static_cast<size_t>(schema_version(database)); version < migrations.size(); ++version) {
    database.execute(migrations[version]);
    database.execute("PRAGMA user_version = " + std::to_string(version + 1));
  }
  database.execute("PRAGMA application_id = " + std::to_string(kApplicationId));
  transaction.commit();
}

void check_schema(const Database& database, std::span<const std::string> migrations) {
  refuse_foreign(database);
  refuse_part_of_a_page(database);
  refuse_newer(database, migrations.size());
  if (schema_version(database) == 0) {
    throw std::runtime_error(subject(database) + "is empty: no results yet; `moebench run` with this --db fills it");
  }
  if (schema_version(database) < static_cast<int64_t>(migrations.size())) {
    throw std::runtime_error(subject(database) + "has schema version " + std::to_string(schema_version(database)) +
                             ", older than this moebench's " + std::to_string(migrations.size()) +
                             "; `moebench db migrate --db " + database.path().string() + "` updates it");
  }
  const Database expected = Database::in_memory();
  migrate(expected, migrations);
  Statement wanted(expected, "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL");
  Statement found(database, "SELECT sql FROM sqlite_schema WHERE name = ?");
  while (wanted.step()) {
    found.bind(wanted.text(0));
    if (!found.step() || found.text(0) != wanted.text(1)) {
      throw std::runtime_error(subject(database) + "its '" + wanted.text(0) + "' is not what schema version " +
                               std::to_string(migrations.size()) +
                               " has: damaged, or changed by another program; restore a copy");
    }
  }
  if (database.integer("SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'") != 0) {
    throw std::runtime_error(subject(database) + "has triggers, which moebench does not run; drop them");
  }
}

}  // namespace moebench
