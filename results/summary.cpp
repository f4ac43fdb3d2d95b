#include "results/summary.h"

#include "results/cell_text.h"
#include "results/database.h"

namespace moebench {
namespace {

using OrderedJson = nlohmann::ordered_json;

// sql: selects a text.
OrderedJson texts(const Database& database, const char* sql) {
  OrderedJson found = OrderedJson::array();
  for (Statement row(database, sql); row.step();) found.push_back(one_line(row.text(0)));
  return found;
}

// sql: selects a text and how often it is there.
OrderedJson counts(const Database& database, const char* sql) {
  OrderedJson found = OrderedJson::object();
  for (Statement row(database, sql); row.step();) found[one_line(row.text(0))] = row.integer(1);
  return found;
}

}  // namespace

OrderedJson read_summary(const Database& database) {
  const Transaction transaction(database, Transaction::Kind::kRead);
  return {{"schema_version", database.integer("PRAGMA user_version")},
          {"runs", counts(database, "SELECT stage || ' ' || status AS kind, count(*) FROM run GROUP BY kind")},
          {"failures", counts(database, "SELECT error, count(*) FROM run WHERE status = 'failed' GROUP BY error")},
          {"items", database.integer("SELECT count(*) FROM item")},
          {"models", texts(database,
                           "SELECT DISTINCT json ->> '$.model' AS name FROM config WHERE json_valid(json) "
                           "AND name IS NOT NULL ORDER BY name")},
          {"methods", texts(database,
                            "SELECT DISTINCT json ->> '$.method' AS name FROM config WHERE json_valid(json) "
                            "AND name IS NOT NULL ORDER BY name")},
          {"metrics",
           texts(database, "SELECT DISTINCT metric FROM series WHERE metric NOT LIKE '%/layer-%' ORDER BY metric")},
          {"machines", texts(database, "SELECT DISTINCT class FROM machine ORDER BY class")}};
}

}  // namespace moebench
