#include "harness/text/corpus.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "harness/content_hash.h"
#include "harness/text/text_file.h"
#include "tests/fixtures/temporary_folder.h"

namespace moebench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string gzipped(std::string_view bytes) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string compressed(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(compressed.data());
  stream.avail_out = static_cast<uInt>(compressed.size());
  deflate(&stream, Z_FINISH);
  compressed.resize(stream.total_out);
  deflateEnd(&stream);
  return compressed;
}

class CorpusTest : public testing::Test {
 protected:
  std::vector<std::string> documents_of(const std::string& name, std::string_view bytes) {
    return read_corpus(folder_.write(name, bytes)).documents;
  }
  std::string refusal_of(const std::string& name, std::string_view bytes) {
    try {
      read_corpus(folder_.write(name, bytes));
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "";
  }
  TemporaryFolder folder_;
};

TEST_F(CorpusTest, JsonLinesAreSplitAtNewlinesOnly) {
  EXPECT_THAT(
      documents_of("a.jsonl", "{\"text\": \"one\u2028\u0085\u2029line\"}\n\n{\"id\": 2, \"text\": \"two\\n\"}\r\n"),
      ElementsAre("one\u2028\u0085\u2029line", "two\n"));
}

TEST_F(CorpusTest, BlankLinesOfWikiTextAreEmptyRows) {
  EXPECT_THAT(documents_of("wiki.raw", " \n = Title = \n \nText\u2028. \n"),
              ElementsAre("", " = Title = \n", "", "Text\u2028. \n"));
}

TEST_F(CorpusTest, OtherFilesAreOneDocument) {
  EXPECT_THAT(documents_of("a.txt", "one\n\ntwo\n"), ElementsAre("one\n\ntwo\n"));
}

TEST_F(CorpusTest, GzippedTextIsTheSameText) {
  const std::string lines = "{\"text\": \"one\"}\n{\"text\": \"two\"}\n";
  const Corpus plain = read_corpus(folder_.write("a.jsonl", lines));
  const Corpus zipped = read_corpus(folder_.write("b.jsonl.gz", gzipped(lines)));
  EXPECT_EQ(zipped.documents, plain.documents);
  EXPECT_EQ(zipped.content_hash, plain.content_hash);
  EXPECT_EQ(plain.content_hash, content_hash(std::string_view(lines)));
  EXPECT_EQ(plain.name, "a");
  EXPECT_EQ(zipped.name, "b");
}

// C4's own files are called c4-validation.00000-of-00008.json.gz.
TEST_F(CorpusTest, JsonOfC4IsJsonLines) {
  const std::string lines = "{\"text\": \"one\", \"url\": \"u\"}\n{\"text\": \"two\"}\n";
  const Corpus corpus = read_corpus(folder_.write("c4-validation.00000-of-00008.json.gz", gzipped(lines)));
  EXPECT_THAT(corpus.documents, ElementsAre("one", "two"));
  EXPECT_EQ(corpus.name, "c4-validation.00000-of-00008");
}

TEST_F(CorpusTest, CompressionBombIsStoppedAtTheLimit) {
  const auto bomb = folder_.write("bomb.jsonl.gz", gzipped(std::string(50 << 20, ' ')));
  ASSERT_LT(std::filesystem::file_size(bomb), 100'000u);
  EXPECT_NO_THROW(read_text_file(bomb));
  try {
    read_text_file(bomb, 4 << 20);
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("more than 4194304 bytes"));
  }
}

TEST_F(CorpusTest, TruncatedGzipIsRefused) {
  std::string zipped = gzipped("{\"text\": \"" + std::string(1000, 'x') + "\"}\n");
  zipped.resize(zipped.size() - 9);
  EXPECT_THAT(refusal_of("a.jsonl.gz", zipped), HasSubstr("not a whole gzip file"));
}

TEST_F(CorpusTest, BytesThatAreNotUtf8AreNamedByOffsetAndLine) {
  EXPECT_THAT(refusal_of("a.txt", "one\ntwo \xFF\n"), HasSubstr("not UTF-8 at byte 8 (line 2)"));
  EXPECT_THAT(refusal_of("surrogate.txt", "\xED\xA0\x80"), HasSubstr("not UTF-8 at byte 0"));
  EXPECT_THAT(refusal_of("cut.txt", "abc\xE2\x82"), HasSubstr("not UTF-8 at byte 3"));
}

TEST_F(CorpusTest, BadLinesAreNamed) {
  EXPECT_THAT(refusal_of("a.jsonl", "{\"text\": \"x\"}\n{\"text\": \n"), HasSubstr("line 2 is not JSON"));
  EXPECT_THAT(refusal_of("b.jsonl", "\n{\"txt\": \"x\"}\n"), HasSubstr("line 2 has no field 'text'"));
  EXPECT_THAT(refusal_of("c.jsonl", "{\"text\": 5}\n"), HasSubstr("line 1 field 'text' is not a string"));
  EXPECT_THAT(refusal_of("d.jsonl", "[1]\n"), HasSubstr("line 1 has no field 'text'"));
  EXPECT_THAT(refusal_of("e.jsonl", "{\"text\": \"\\ud800\"}\n"), HasSubstr("line 1 is not JSON"));
}

TEST_F(CorpusTest, TextlessFilesAreRefused) {
  EXPECT_THAT(refusal_of("a.txt", ""), HasSubstr("holds no text"));
  EXPECT_THAT(refusal_of("b.txt", " \n\n"), HasSubstr("holds no text"));
  EXPECT_THAT(refusal_of("c.jsonl", "\n"), HasSubstr("holds no text"));
  EXPECT_THAT(refusal_of("d.jsonl", "{\"text\": \"\"}\n"), HasSubstr("holds no text"));
  EXPECT_THAT(refusal_of("e.raw", " \n \n"), HasSubstr("holds no text"));
  EXPECT_THROW(read_corpus(folder_.path()), std::runtime_error);
  EXPECT_THROW(read_corpus(folder_.path() / "missing.txt"), std::runtime_error);
}

// random.seed(3); [random.randint(0, 9) for _ in range(4)] is 3, 9, 8, 2: the last start leaves one token over.
TEST_F(CorpusTest, WindowsStartWherePythonsRandintSays) {
  const at::Tensor stream = at::arange(100, 115);
  const at::Tensor windows = random_windows(stream, 4, 5, 3);
  ASSERT_EQ(windows.sizes(), at::IntArrayRef({4, 5}));
  EXPECT_TRUE(at::equal(windows.select(1, 0), at::tensor({103L, 109L, 108L, 102L})));
  EXPECT_TRUE(at::equal(windows.select(1, 4), at::tensor({107L, 113L, 112L, 106L})));
}

TEST_F(CorpusTest, StreamShorterThanAWindowIsRefused) {
  EXPECT_THROW(random_windows(at::arange(8), 1, 8, 0), std::invalid_argument);
  EXPECT_EQ(random_windows(at::arange(9), 1, 8, 0).size(1), 8);
  EXPECT_THROW(random_windows(at::arange(9), 0, 8, 0), std::invalid_argument);
}

TEST_F(CorpusTest, OverlapIsTheShareOfLongLinesSeenBefore) {
  const std::string shared = "This line of the text is long enough to be compared.";
  const std::string own = "And this one is just as long but stands in one text only.";
  const Corpus calibrated{.documents = {"Title\n" + shared, "Title"}};
  EXPECT_EQ(overlap(calibrated, {.documents = {"Title\n  " + shared + " \n" + own + "\n"}}), 0.5);
  EXPECT_EQ(overlap(calibrated, {.documents = {shared}}), 1.0);
  EXPECT_EQ(overlap(calibrated, {.documents = {"Title\n" + own}}), 0.0);
  EXPECT_EQ(overlap(calibrated, {.documents = {"Title"}}), 0.0);
}

}  // namespace
}  // namespace moebench
