#include "results/schema.h"

#include <gmock/gmock.h>
#include <sqlite3.h>

#include "harness/error.h"
#include "tests/results/store_fixture.h"

namespace moebench {
namespace {

using testing::HasSubstr;
using Mode = ResultStore::Mode;

class SchemaTest : public StoreFixture {
 protected:
  Database database() const { return Database(path_, OpenMode::kReadWrite, std::chrono::seconds(20)); }

  const std::string first_ = "CREATE TABLE note(id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;";
  const std::string second_ = "ALTER TABLE note ADD COLUMN author TEXT NOT NULL DEFAULT 'unknown';";
  const std::string third_ = "ALTER TABLE nothing ADD COLUMN x TEXT;";
};

TEST_F(SchemaTest, HasTheTablesOfTheContract) {
  open();
  const Database database = this->database();
  for (const char* table : {"machine", "build", "config", "dataset", "model", "run", "series", "sample", "stat", "item",
                            "artifact", "baseline", "comparison"}) {
    Statement strict(database, "SELECT strict FROM pragma_table_list WHERE name = ?");
    ASSERT_TRUE(strict.bind(table).step()) << table;
    EXPECT_EQ(strict.integer(0), 1) << table;
  }
  EXPECT_EQ(database.integer("PRAGMA user_version"), 2);
  EXPECT_EQ(database.integer("PRAGMA application_id"), 0x6d6f6562);
}

// A database of the first version, with an item, as its program left it.
TEST_F(SchemaTest, ItemsOfVersion1HaveNoClusterAndNewOnesMay) {
  {
    const Database old = database();
    migrate(old, migrations().first(1));
    old.execute(
        "INSERT INTO machine VALUES(1, 'f', '', '', '', '', 0, ''); INSERT INTO config VALUES(1, 'h', '{}');"
        "INSERT INTO build VALUES(1, 'h', '', 0, '', '', '', '');"
        "INSERT INTO run VALUES(1, 'old', 'cell', 1, 1, 1, NULL, NULL, 0, 'measure', 'completed', 0, 1, 0, '');"
        "INSERT INTO item VALUES(1, 'arc_easy/acc', '3', 1.5, 0, 1)");
  }
  EXPECT_THAT(message_of_opening(Mode::kReadOnly), HasSubstr("`moebench db migrate --db "));
  ResultStore store = open();
  RunRecord run = sample_run("new");
  run.items = {{.task = "mmlu/acc", .id = "3", .correct = false, .cluster = "anatomy"}};
  store.add(run);
  ASSERT_EQ(store.items("old").size(), 1u);
  EXPECT_EQ(store.items("old")[0].cluster, "");
  EXPECT_EQ(store.items("old")[0].nll, 1.5);
  EXPECT_EQ(store.items("old")[0].correct, true);
  EXPECT_EQ(store.items("uuid-new").at(0).cluster, "anatomy");
}

TEST_F(SchemaTest, SecondCompletedRunOfACellIsImpossible) {
  open().add(sample_run("a"));
  const Database database = this->database();
  EXPECT_THROW(database.execute("INSERT INTO run SELECT NULL, 'other', cell_key, config_id, build_id, machine_id, "
                                "model_id, dataset_id, seed, stage, status, started, ended, exit_code, error FROM run"),
               std::invalid_argument);
}

TEST_F(SchemaTest, RowsOfAnAbsentRunAreImpossible) {
  open().add(sample_run("a"));
  const Database database = this->database();
  EXPECT_THROW(database.execute("INSERT INTO sample VALUES(999, 1, 0, 1.5)"), std::invalid_argument);
  EXPECT_THROW(database.execute("INSERT INTO sample VALUES(1, 999, 0, 1.5)"), std::invalid_argument);
}

TEST_F(SchemaTest, MigrationKeepsTheRows) {
  const Database database = this->database();
  migrate(database, std::vector{first_});
  database.execute("INSERT INTO note(text) VALUES('kept')");
  migrate(database, std::vector{first_, second_});
  EXPECT_EQ(database.integer("PRAGMA user_version"), 2);
  EXPECT_EQ(database.integer("SELECT count(*) FROM note WHERE text = 'kept' AND author = 'unknown'"), 1);
  EXPECT_NO_THROW(check_schema(database, std::vector{first_, second_}));
}

TEST_F(SchemaTest, FailedMigrationLeavesTheVersionBefore) {
  const Database database = this->database();
  migrate(database, std::vector{first_});
  EXPECT_THROW(migrate(database, std::vector{first_, second_, third_}), std::runtime_error);
  EXPECT_EQ(database.integer("PRAGMA user_version"), 1);
  EXPECT_EQ(database.integer("SELECT count(*) FROM pragma_table_info('note')"), 2);
}

TEST_F(SchemaTest, MigrationIsDoneOnce) {
  const Database first = database(), second = database();
  migrate(first, std::vector{first_});
  migrate(second, std::vector{first_});
  EXPECT_EQ(second.integer("PRAGMA user_version"), 1);
}

TEST_F(SchemaTest, ReaderOfAnOlderVersionIsToldWhatUpdatesIt) {
  migrate(database(), std::vector{first_});
  const Database reader(path_, OpenMode::kReadOnly, std::chrono::seconds(1));
  try {
    check_schema(reader, std::vector{first_, second_});
    FAIL() << "accepted";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("has schema version 1, older than this moebench's 2"));
  }
}

TEST_F(SchemaTest, NewerVersionIsRefusedAndNotTouched) {
  open();
  database().execute("PRAGMA user_version = 3");
  const std::string before = read_file();
  EXPECT_THAT(message_of_opening(Mode::kReadWrite),
              HasSubstr("results.sqlite: has schema version 3, this moebench knows 2"));
  EXPECT_THAT(message_of_opening(Mode::kReadOnly), HasSubstr("update this one"));
  EXPECT_EQ(read_file(), before);
}

TEST_F(SchemaTest, UsersOwnViewsAndTablesAreLeftAlone) {
  open();
  database().execute("CREATE VIEW best AS SELECT * FROM run; CREATE TABLE notes(text); CREATE INDEX mine ON run(seed)");
  EXPECT_EQ(message_of_opening(Mode::kReadWrite), "opened");
}

}  // namespace
}  // namespace moebench
