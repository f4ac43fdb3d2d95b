// Tokenising speed: SmolLM2's tokenizer on WikiText-2, or on the text that scripts/fetch brings.
#include <cstdlib>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>

#include <benchmark/benchmark.h>

#include "harness/checkpoint/checkpoint.h"
#include "harness/text/corpus.h"
#include "harness/text/tokenizer.h"

namespace moebench {
namespace {

constexpr size_t kMegabyte = 1'000'000;

std::unique_ptr<Tokenizer> smollm2() { return Tokenizer::load(resolve_model_path("smollm2-135m")); }

// Runs body, or skips the benchmark with the reason why the model or the text is not there.
template <class Body>
void with_inputs(benchmark::State& state, const Body& body) {
  try {
    body();
  } catch (const std::exception& error) {
    state.SkipWithError(error.what());
  }
}

std::string megabyte_of_text() {
  const Corpus corpus = read_named_corpus(std::getenv("MOEBENCH_DATA") == nullptr ? "wiki-passages-test" : "wikitext2");
  std::string text;
  while (text.size() < kMegabyte) {
    for (const std::string& document : corpus.documents) text += document + "\n";
  }
  text.resize(text.rfind('\n', kMegabyte));
  return text;
}

void encode(benchmark::State& state, const std::string& text) {
  const auto tokenizer = smollm2();
  size_t num_ids = 0;
  for (auto _ : state) num_ids = tokenizer->encode(text).size();
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
  state.counters["ids"] = static_cast<double>(num_ids);
}

void BM_LoadTokenizer(benchmark::State& state) {
  with_inputs(state, [&] {
    for (auto _ : state) benchmark::DoNotOptimize(smollm2());
  });
}
BENCHMARK(BM_LoadTokenizer)->Unit(benchmark::kMillisecond);

void BM_EncodeText(benchmark::State& state) {
  with_inputs(state, [&] { encode(state, megabyte_of_text()); });
}
BENCHMARK(BM_EncodeText)->Unit(benchmark::kMillisecond);

// The worst case: no piece recurs, and the merge queue holds all of the text.
void BM_EncodeOneWord(benchmark::State& state) {
  with_inputs(state, [&] {
    std::mt19937 random(1);
    std::string word;
    while (word.size() < static_cast<size_t>(state.range(0))) word += static_cast<char>('a' + random() % 26);
    encode(state, word);
  });
}
BENCHMARK(BM_EncodeOneWord)->Arg(kMegabyte / 16)->Arg(kMegabyte / 4)->Arg(kMegabyte)->Unit(benchmark::kMillisecond);

void BM_EncodeShortText(benchmark::State& state) {
  with_inputs(state, [&] { encode(state, "The capital of France is Paris, and that of Italy is Rome."); });
}
BENCHMARK(BM_EncodeShortText);

void BM_Decode(benchmark::State& state) {
  with_inputs(state, [&] {
    const auto tokenizer = smollm2();
    const std::vector<int32_t> ids = tokenizer->encode(megabyte_of_text());
    for (auto _ : state) benchmark::DoNotOptimize(tokenizer->decode(ids));
    state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(kMegabyte));
  });
}
BENCHMARK(BM_Decode)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace moebench
