// A folder's text files as domains.
#include <gmock/gmock.h>

#include "tests/tasks/perplexity_fixture.h"

namespace moebench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class PerplexityFolderTest : public PerplexityFixture {
 protected:
  void SetUp() override {
    PerplexityFixture::SetUp();
    stories_ = folder_.write("domains/stories.txt", "Quick brown foxes jump across a lazy dog, and a dog sleeps on.");
    law_ = folder_.write("domains/law.jsonl", R"({"text": "Whereas a party of one part and a party of another part"})"
                                              "\n");
    folder_.write("domains/README.md", "about");
  }

  Measurement measure_text(const std::filesystem::path& text) {
    return measure("perplexity", options({{"text", text.string()}}));
  }

  std::filesystem::path stories_, law_;
};

TEST_F(PerplexityFolderTest, EachFileIsMeasuredAsByItself) {
  const Measurement measured = measure_text(folder_ / "domains");
  const Measurement law = measure_text(law_), stories = measure_text(stories_);
  EXPECT_EQ(value(measured, "domains/law/gptq-16/ppl"), value(law, "law/gptq-16/ppl"));
  EXPECT_EQ(value(measured, "domains/stories/gptq-16/nll"), value(stories, "stories/gptq-16/nll"));
  EXPECT_EQ(measured.metrics[0].standard_error, law.metrics[0].standard_error);
  EXPECT_EQ(measured.metrics[0].n, law.metrics[0].n);
  EXPECT_EQ(measured.text_tokens, law.text_tokens + stories.text_tokens);
}

TEST_F(PerplexityFolderTest, WindowsAreKeptUnderTheirDomain) {
  const Measurement measured = measure_text(folder_ / "domains");
  std::vector<std::string> names;
  for (const Item& item : measured.items) names.push_back(item.task + " " + item.id);
  EXPECT_THAT(names,
              ElementsAre("domains/law/gptq-16 0", "domains/law/gptq-16 1", "domains/law/gptq-16 2",
                          "domains/stories/gptq-16 0", "domains/stories/gptq-16 1", "domains/stories/gptq-16 2"));
}

TEST_F(PerplexityFolderTest, AveragesSayWhatTheyWeigh) {
  folder_.write("domains/stories.txt", std::string(40, 'x') + " Quick brown foxes jump across a lazy dog.");
  const Measurement measured = measure_text(folder_ / "domains");
  double nll = 0, tokens = 0;
  for (const Item& item : measured.items) {
    nll += item.nll;
    tokens += static_cast<double>(item.tokens);
  }
  const double law = value(measured, "domains/law/gptq-16/nll"),
               stories = value(measured, "domains/stories/gptq-16/nll");
  EXPECT_NEAR(value(measured, "domains/gptq-16/token-weighted/nll"), nll / tokens, 1e-12);
  EXPECT_NEAR(value(measured, "domains/gptq-16/token-weighted/ppl"), std::exp(nll / tokens), 1e-9);
  EXPECT_NEAR(value(measured, "domains/gptq-16/macro-average/nll"), (law + stories) / 2, 1e-12);
  EXPECT_NEAR(value(measured, "domains/gptq-16/macro-average/ppl"), std::exp((law + stories) / 2), 1e-9);
  EXPECT_GT(std::abs(nll / tokens - (law + stories) / 2), 1e-3) << "the two averages must differ to be told apart";
}

TEST_F(PerplexityFolderTest, ATextHasNoAverages) { EXPECT_EQ(measure_text(law_).metrics.size(), 2u); }

TEST_F(PerplexityFolderTest, AFileTooShortForAWindowIsNamed) {
  const auto tiny = folder_.write("domains/tiny.txt", "short");
  EXPECT_THAT(refusal({{"text", (folder_ / "domains").string()}}),
              HasSubstr("perplexity of " + tiny.string() + ": the text has 5 tokens, fewer than one window of 16"));
}

TEST_F(PerplexityFolderTest, AFolderWithoutTextIsRefusedBeforeAnythingIsComputed) {
  folder_.write("empty/README.md", "about");
  const auto task =
      TaskRegistry::instance().find("perplexity").create(options({{"text", (folder_ / "empty").string()}}));
  EXPECT_THAT([&] { task->data_hash(); },
              testing::ThrowsMessage<std::runtime_error>(HasSubstr("the folder has no text file")));
}

TEST_F(PerplexityFolderTest, DataHashFollowsEveryFile) {
  const auto task =
      TaskRegistry::instance().find("perplexity").create(options({{"text", (folder_ / "domains").string()}}));
  const std::string before = task->data_hash();
  EXPECT_EQ(task->data_hash(), before);
  folder_.write("domains/stories.txt", "another story");
  const std::string changed = task->data_hash();
  EXPECT_NE(changed, before);
  folder_.write("domains/novel.txt", "one more");
  EXPECT_NE(task->data_hash(), changed);
}

}  // namespace
}  // namespace moebench
