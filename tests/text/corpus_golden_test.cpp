// Token streams and random windows of WikiText-2, against golden/smollm2/smollm2_ppl.json and golden/methods.
#include <cstring>

#include <ATen/ATen.h>

#include "harness/checkpoint/gguf.h"
#include "harness/content_hash.h"
#include "harness/text/corpus.h"
#include "tests/fixtures/temporary_folder.h"
#include "tests/text/smollm2_fixture.h"

namespace moebench {
namespace {

class CorpusGoldenTest : public SmolLm2Fixture {};

std::string_view bytes_of(const at::Tensor& tensor) {
  return {static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()};
}

TEST_F(CorpusGoldenTest, WikiTextRowsJoinToTheGoldenText) {
  const Corpus corpus = read_corpus(shared("data/ppl/wikitext2/wiki.test.raw"));
  EXPECT_EQ(corpus.documents.size(), 4358u);
  EXPECT_EQ(std::count(corpus.documents.begin(), corpus.documents.end(), ""), 1467);
  std::string joined = corpus.documents[0];
  for (size_t row = 1; row < corpus.documents.size(); ++row) joined += "\n\n" + corpus.documents[row];
  EXPECT_EQ(joined.size(), 1296370u);
  EXPECT_EQ(content_hash(std::string_view(joined)), "696cca6b65a171b0a358a4be6732cdfdf2dd6164a32e20fd70e3c13fc4dfae83");
}

TEST_F(CorpusGoldenTest, WikiTextTokenStreamIsTheGoldenOne) {
  const at::Tensor stream = token_stream(read_corpus(shared("data/ppl/wikitext2/wiki.test.raw")), *tokenizer_);
  const nlohmann::json data = read_shared_json("golden/smollm2/smollm2_ppl.json").at("data");
  ASSERT_EQ(stream.scalar_type(), at::kLong);
  ASSERT_EQ(stream.size(0), data.at("n_tokens").get<int64_t>());
  EXPECT_EQ(content_hash(bytes_of(stream.to(at::kInt))), data.at("ids_i32le_sha256"));
}

// golden/methods was made with a tokenizer that does not cut digits off first: SmolLM2's vocabulary with GPT-2's
// pre-tokenizer. With that one the windows are equal to the last id.
TEST_F(CorpusGoldenTest, RandomWindowsAreTheOnesThatTheMethodsGoldenCalibratedOn) {
  const GgufFile file(model_);
  nlohmann::json vocabulary = nlohmann::json::object();
  const auto tokens = file.find_strings("tokenizer.ggml.tokens").value();
  for (const std::string_view token : tokens) {
    vocabulary[std::string(token)] = vocabulary.size();
  }
  const TemporaryFolder folder;
  const nlohmann::json tokenizer_json = {
      {"model",
       {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", file.find_strings("tokenizer.ggml.merges").value()}}},
      {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}}};
  const auto tokenizer = Tokenizer::load(folder.write("tokenizer.json", tokenizer_json.dump()));
  const at::Tensor stream = token_stream(read_corpus(shared("data/ppl/wikitext2/wiki.valid.raw")), *tokenizer);
  const at::Tensor windows = random_windows(stream, 8, 2048, 0);

  const nlohmann::json array =
      read_shared_json("golden/methods/b_cmoe_smollm2_S3A3E8.json").at("arrays").at("calib_ids");
  ASSERT_EQ(array.at("dtype"), "u16");
  ASSERT_EQ(array.at("shape"), nlohmann::json({8, 2048}));
  std::ifstream bin(shared("golden/methods/b_cmoe_smollm2_S3A3E8.bin"), std::ios::binary);
  bin.seekg(array.at("offset").get<int64_t>());
  std::vector<uint16_t> golden(8 * 2048);
  ASSERT_TRUE(bin.read(reinterpret_cast<char*>(golden.data()), static_cast<std::streamsize>(golden.size() * 2)));
  const at::Tensor ids = windows.contiguous();
  for (size_t index = 0; index < golden.size(); ++index) {
    ASSERT_EQ(ids.const_data_ptr<int64_t>()[index], golden[index]) << index;
  }
}

}  // namespace
}  // namespace moebench
