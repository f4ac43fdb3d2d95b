// Few-shot requests against lm-evaluation-harness 0.4.13 itself: hashes of the requests that its tasks built from the
// same files, with its seed 1234.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/content_hash.h"
#include "harness/lm_eval/document_builder.h"
#include "harness/lm_eval/fewshot_sampler.h"
#include "harness/lm_eval/python_json.h"
#include "harness/lm_eval/task_library.h"
#include "tests/lm_eval/task_data_fixture.h"

namespace moebench {
namespace {

using ::testing::ElementsAre;
using Json = nlohmann::ordered_json;

// SHA-256 of Python's json.dumps([[context, continuation], ...]); generation has contexts alone.
std::string request_hash(const TaskDocuments& built) {
  Json requests = Json::array();
  for (const EvaluatedDocument& document : built.documents) {
    for (size_t place = 0; place < document.instances.size(); ++place) {
      const auto [context, continuation] = document.request(place);
      requests.push_back(continuation.empty() ? Json::array({context}) : Json::array({context, continuation}));
    }
  }
  return content_hash(std::string_view(python_json(requests)));
}

struct Job {
  const char* task;
  int64_t num_fewshot, limit;
  const char* hash;
};

// Pools: the training split; for PIQA, WinoGrande and BoolQ with one example more than asked for, in case the document
// is among them; for LAMBADA the test split, the document included; for MMLU dev, in its order.
TEST(FewshotRequestsTest, AreLmEvals) {
  if (!std::filesystem::exists(kSharedData / "tasks")) GTEST_SKIP() << "needs " << kSharedData / "tasks";
  const DataFolder data(kSharedData);
  const TaskLibrary library;
  for (const auto& [task, num_fewshot, limit, hash] :
       {Job{"arc_easy", 7, 200, "07593a863f92481e799ea26a228895099a559e602c8c043fb823323cf8232fbb"},
        {"arc_challenge", 25, 100, "603f8d73805a5fd6127a8e0db4c9eca0212513c08d95562c25d5729e8705e65c"},
        {"piqa", 3, 200, "908c1b64841282a5c4582b8c24c2d0c7d0de485bca5ef5b051027df77ed60055"},
        {"winogrande", 8, 200, "ec5edf919dce8b43bdead719420570be2ea3e3bc1d1bab2de503ff8d66f18c37"},
        {"boolq", 32, 50, "0b3ae628326ba9dc2822e114022ca41018ef1c5165ad9d6194ac5b6ed87ed679"},
        {"openbookqa", 5, 500, "0b585eed72a2662e03899d3b700f3d1d69348a41135729540e97b8f62a750925"},
        {"lambada_openai", 3, 200, "a21f14b03ac7728cd5a4701db3742c79dfe055b7415887354367276a740e8ee4"},
        {"gsm8k", 5, 100, "904cfe4032530c55731523221278c71e8c8081a4c03957ff986045bb79921cec"},
        {"mmlu_anatomy", 4, 100, "83d06a7c5b2179eaf0666808017c6099b8218e84b4cb7005e903ff7e72e53b86"},
        {"mmlu_professional_law", 5, 100, "a30cbe3a893b8f852f2002890359f4f93beb7d42f4f53ff9c62133be8601f248"}}) {
    const TaskDefinition definition = library.select({task}).tasks.at(0);
    EXPECT_EQ(request_hash(build_documents(definition, num_fewshot, limit)), hash) << task;
  }
}

// Python's random.Random(1234).sample(range(7473), 5), twice: the examples of GSM8K's first two documents.
TEST(FewshotSamplerTest, DrawsGoOnFromDocumentToDocument) {
  const std::vector<Json> pool(7473);
  FewshotSampler sampler(pool, "default", 5, false, 1234);
  EXPECT_THAT(sampler.sample({}), ElementsAre(6374, 3610, 957, 61, 742));
  EXPECT_THAT(sampler.sample({}), ElementsAre(7462, 6610, 4769, 286, 5501));
}

// HellaSwag's first document at ten shots.
TEST(FewshotSamplerTest, OneMoreIsDrawnWhereTheDocumentMayBeAmongThem) {
  const std::vector<Json> pool(39905);
  FewshotSampler sampler(pool, "default", 10, true, 1234);
  EXPECT_THAT(sampler.sample("another"), ElementsAre(28883, 7657, 490, 5940, 38156, 2288, 5500, 6450, 23241, 15519));
}

// Of 0 0 0 1 2 3, with 0 evaluated, two are drawn from the others.
TEST(FewshotSamplerTest, ADocumentThatStandsInThePoolOftenIsNeverAnExample) {
  const std::vector<Json> pool = {0, 0, 0, 1, 2, 3};
  FewshotSampler sampler(pool, "default", 2, true, 1234);
  for (int document = 0; document < 20; ++document) {
    const std::vector<size_t> places = sampler.sample(0);
    ASSERT_EQ(places.size(), 2u);
    EXPECT_THAT(places, ::testing::Each(::testing::Ge(3u)));
  }
}

}  // namespace
}  // namespace moebench
