// The requests that lm-evaluation-harness 0.4.13 sent for SmolLM2 (golden/smollm2): context, continuation, target.
#include <filesystem>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/content_hash.h"
#include "harness/lm_eval/document_builder.h"
#include "harness/lm_eval/task_library.h"
#include "tests/lm_eval/smollm2_job_data.h"

namespace moebench {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

const fs::path kGolden = fs::path(MOEBENCH_SHARED_DIR) / "golden" / "smollm2" / "smollm2_lm_eval.json";

std::string hash_of(const std::string& text) { return content_hash(std::string_view(text)); }

// The stored hash of a request's context stands at the document where its requests share it.
std::string stored(const Json& item, const Json& request, const char* name) {
  return request.contains(name) ? request[name].get<std::string>() : item.value(name, "");
}

void expect_same_requests(const EvaluatedDocument& document, const Json& item, OutputType type) {
  SCOPED_TRACE("document " + std::to_string(document.doc_id));
  const Json& requests = item.at("requests");
  ASSERT_EQ(document.instances.size(), requests.size());
  for (size_t place = 0; place < requests.size(); ++place) {
    const auto [context, continuation] = document.request(place);
    if (type == OutputType::kLoglikelihoodRolling) {
      EXPECT_EQ(hash_of(continuation), stored(item, requests[place], "text_sha256"));
      continue;
    }
    EXPECT_EQ(hash_of(context), stored(item, requests[place], "context_sha256"));
    if (type != OutputType::kGenerateUntil) {
      EXPECT_EQ(hash_of(continuation), stored(item, requests[place], "continuation_sha256"));
    }
  }
}

// Long targets are stored by their beginning.
void expect_same_target(const EvaluatedDocument& document, const Json& item) {
  const Json& target = item.at("target");
  const std::string text = target.is_string() ? target.get<std::string>() : target.dump();
  EXPECT_TRUE(document.target.starts_with(text)) << document.target << " against " << text;
}

class Smollm2RequestsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(kGolden)) GTEST_SKIP() << "needs " << kGolden;
    jobs_ = Json::parse(std::ifstream(kGolden)).at("jobs");
  }

  void expect_same_job(const std::string& name) {
    SCOPED_TRACE(name);
    const JobData data(name);
    const Json& job = jobs_.at(name);
    const TaskDefinition definition = TaskLibrary().select({job.at("task").get<std::string>()}).tasks.at(0);
    const TaskDocuments built =
        build_documents(definition, job.at("num_fewshot").get<int64_t>(), job.at("n_docs").get<int64_t>());
    EXPECT_EQ(definition.version, job.at("version"));
    // A document stands in the list once a filter.
    const size_t num_filters = definition.filter_list.is_null() ? 1 : definition.filter_list.size();
    ASSERT_EQ(built.documents.size() * num_filters, job.at("items").size());
    for (const Json& item : job.at("items")) {
      const EvaluatedDocument& document = built.documents.at(item.at("doc").get<size_t>());
      expect_same_requests(document, item, definition.output_type);
      expect_same_target(document, item);
    }
  }

  Json jobs_;
};

TEST_F(Smollm2RequestsTest, AreLmEvals) {
  for (const auto& [name, job] : jobs_.items()) expect_same_job(name);
  EXPECT_EQ(jobs_.size(), 21u);
}

}  // namespace
}  // namespace moebench
