// Random damage to small valid files: each either opens and loads, or is refused with std::runtime_error. Always the
// same mutations.
#include <chrono>
#include <random>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "harness/checkpoint/gguf.h"
#include "harness/checkpoint/safetensors.h"
#include "tests/fixtures/gguf_builder.h"
#include "tests/fixtures/refusal.h"
#include "tests/fixtures/temporary_folder.h"

namespace moebench {
namespace {

constexpr int kMutations = 5000;

class Mutator {
 public:
  explicit Mutator(std::string original) : original_(std::move(original)) {}

  std::string next() {
    std::string bytes = original_;
    for (uint32_t change = below(4) + 1; change > 0; --change) mutate(bytes);
    return bytes;
  }

 private:
  uint32_t below(size_t limit) { return random_() % static_cast<uint32_t>(limit); }

  void mutate(std::string& bytes) {
    const size_t position = below(bytes.size());
    constexpr char kExtremes[] = {'\0', '\1', '\x10', '\x7F', '\x80', '\xFF', '"', '{', ']', '9'};
    switch (below(5)) {
      case 0:
        bytes[position] = static_cast<char>(below(256));
        break;
      case 1:
        bytes[position] = kExtremes[below(sizeof kExtremes)];
        break;
      case 2:
        bytes.erase(position, below(9));
        break;
      case 3:
        bytes.insert(position, bytes.substr(below(bytes.size()), below(40)));
        break;
      case 4:
        bytes.replace(position, 8, std::string(8, kExtremes[below(sizeof kExtremes)]));
        break;
    }
    if (bytes.empty()) bytes = original_;
  }

  std::string original_;
  std::mt19937 random_{20240229};
};

// open_and_load may throw std::runtime_error and nothing else. Neither all nor none of the mutants must survive.
template <class OpenAndLoad>
void expect_refused_or_loaded(std::string original, OpenAndLoad open_and_load) {
  const TemporaryFolder folder;
  Mutator mutator(std::move(original));
  int accepted = 0;
  for (int i = 0; i < kMutations; ++i) {
    const auto path = folder.write("mutant", mutator.next());
    ASSERT_NO_THROW(accepted += refusal([&] { open_and_load(path); }) == "accepted") << "mutation " << i;
  }
  EXPECT_GT(accepted, 0);
  EXPECT_LT(accepted, kMutations);
}

TEST(MutationTest, DamagedGgufIsRefusedOrLoaded) {
  GgufBuilder builder;
  builder.add("general.alignment", uint32_t{32}).add("key", "text").add("strings", std::vector<std::string>{"a", "bc"});
  builder.add_tensor({.name = "f32", .sizes = {2, 3}, .data = std::string(24, '\1')});
  builder.add_tensor({.name = "q4_1", .sizes = {32}, .type = 3, .data = std::string(20, '\2')});
  expect_refused_or_loaded(builder.build(), [](const std::filesystem::path& path) {
    const GgufFile file(path);
    for (const char* key : {"general.alignment", "key", "strings"}) {
      refusal([&] { file.find_strings(key); });
      refusal([&] { file.find_string(key); });
      refusal([&] { file.find_numbers(key); });
    }
    for (const auto& [name, tensor] : file.tensors()) tensor.load(at::kFloat);
  });
}

TEST(MutationTest, DamagedSafetensorsIsRefusedOrLoaded) {
  const TemporaryFolder folder;
  write_safetensors(folder / "x", {{"a", at::ones({2, 3})}, {"b", at::ones({4}).to(at::kHalf)}}, {{"key", "value"}});
  expect_refused_or_loaded(read_file(folder / "x"), [](const std::filesystem::path& path) {
    const SafetensorsFile file(path);
    for (const std::string& name : file.names()) file.view(name).clone();
  });
}

}  // namespace
}  // namespace moebench
