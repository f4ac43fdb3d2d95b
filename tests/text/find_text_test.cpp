#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/text/corpus.h"
#include "tests/fixtures/temporary_folder.h"

namespace moebench {
namespace {

// Both folders are the test's own; the user's variables come back afterwards.
class FindTextTest : public testing::Test {
 protected:
  void SetUp() override {
    setenv("MOEBENCH_DATA", data_.path().c_str(), 1);
    setenv("MOEBENCH_CACHE", cache_.path().c_str(), 1);
  }
  void TearDown() override {
    restore("MOEBENCH_DATA", old_data_);
    restore("MOEBENCH_CACHE", old_cache_);
  }

  TemporaryFolder data_, cache_;

 private:
  static std::optional<std::string> value_of(const char* variable) {
    const char* value = std::getenv(variable);
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  }
  static void restore(const char* variable, const std::optional<std::string>& value) {
    value ? setenv(variable, value->c_str(), 1) : unsetenv(variable);
  }
  std::optional<std::string> old_data_ = value_of("MOEBENCH_DATA"), old_cache_ = value_of("MOEBENCH_CACHE");
};

TEST_F(FindTextTest, ExistingFileIsItself) {
  const auto file = data_.write("own.txt", "text");
  EXPECT_EQ(find_text(file.string()), file);
  EXPECT_EQ(read_named_corpus(file.string()).name, "own");
}

TEST_F(FindTextTest, WikiTextIsFoundUnderItsLogicalName) {
  data_.write("ppl/wikitext2/wiki.test.raw", " = Title = \n");
  data_.write("wikitext-2-raw/wiki.valid.raw", " = Other = \n");
  EXPECT_EQ(read_named_corpus("wikitext2").name, "wikitext2");
  EXPECT_EQ(read_named_corpus("wikitext2").documents.at(0), " = Title = \n");
  EXPECT_EQ(read_named_corpus("wikitext2-validation").documents.at(0), " = Other = \n");
}

TEST_F(FindTextTest, DataFolderGoesBeforeFetchedTexts) {
  cache_.write("text/law.jsonl", R"({"text": "fetched"})");
  EXPECT_EQ(read_named_corpus("law").documents.at(0), "fetched");
  data_.write("calib/law.jsonl", R"({"text": "own"})");
  EXPECT_EQ(read_named_corpus("law").documents.at(0), "own");
  EXPECT_EQ(read_named_corpus("law").name, "law");
}

TEST_F(FindTextTest, FetchedDomainIsFoundByItsName) {
  cache_.write("domains/novels.jsonl", R"({"text": "Chapter I"})");
  EXPECT_EQ(read_named_corpus("novels").documents.at(0), "Chapter I");
}

TEST_F(FindTextTest, UnknownNameSaysWhereItLooked) {
  using testing::HasSubstr;
  try {
    find_text("nothing");
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr(data_.path().string()));
    EXPECT_THAT(error.what(), HasSubstr((cache_.path() / "text/nothing.jsonl").string()));
    EXPECT_THAT(error.what(), HasSubstr("--data"));
    EXPECT_THAT(error.what(), HasSubstr("scripts/fetch"));
  }
  EXPECT_THROW(find_text("no/such/file.txt"), std::runtime_error);
  EXPECT_THROW(find_text(""), std::runtime_error);
  EXPECT_THROW(find_text(data_.path().string()), std::runtime_error);
}

TEST_F(FindTextTest, AFoldersTextsAreInOrderAndCalledByFolderAndStem) {
  for (const char* name : {"b.txt", "a.jsonl.gz", "c.raw", "d.json", "notes.md", "b/inner.txt"}) {
    data_.write(std::string("domains/") + name, "text");
  }
  std::vector<std::string> names, files;
  for (const NamedText& text : find_texts((data_ / "domains/").string())) {
    names.push_back(text.name);
    files.push_back(text.path.filename().string());
  }
  EXPECT_THAT(names, testing::ElementsAre("domains/a", "domains/b", "domains/c", "domains/d"));
  EXPECT_THAT(files, testing::ElementsAre("a.jsonl.gz", "b.txt", "c.raw", "d.json"));
  EXPECT_EQ(find_texts((data_ / "domains").string())[0].name, "domains/a");
}

TEST_F(FindTextTest, OneTextIsFoundAsItselfAlone) {
  cache_.write("domains/novels.jsonl", R"({"text": "Chapter I"})");
  const std::vector<NamedText> texts = find_texts("novels");
  ASSERT_EQ(texts.size(), 1u);
  EXPECT_EQ(texts[0].name, "novels");
  EXPECT_EQ(texts[0].path, cache_ / "domains/novels.jsonl");
}

TEST_F(FindTextTest, AFolderWithoutTextsOrWithTwoOfOneNameIsRefused) {
  using testing::HasSubstr;
  data_.write("none/picture.png", "");
  EXPECT_THAT([&] { find_texts((data_ / "none").string()); },
              testing::ThrowsMessage<std::runtime_error>(HasSubstr("none': the folder has no text file")));
  data_.write("twins/a.txt", "text");
  data_.write("twins/a.jsonl", "text");
  EXPECT_THAT([&] { find_texts((data_ / "twins").string()); },
              testing::ThrowsMessage<std::runtime_error>(HasSubstr("would both be called twins/a; rename one")));
}

}  // namespace
}  // namespace moebench
