// Opening, decoding and hashing checkpoints. The default model is measured where scripts/fetch has put it.
#include <string>

#include <ATen/ATen.h>
#include <benchmark/benchmark.h>

#include "harness/checkpoint/checkpoint.h"
#include "harness/checkpoint/dequantise.h"

namespace moebench {
namespace {

void dequantise_blocks(benchmark::State& state, GgmlType type, at::ScalarType dtype) {
  constexpr int64_t kElements = 4096 * 4096;
  const BlockLayout& layout = block_layout(type);
  const std::string blocks(static_cast<size_t>(kElements / layout.elements * layout.bytes), '\x31');
  for (auto _ : state) benchmark::DoNotOptimize(dequantise(type, blocks, {4096, 4096}, dtype).data_ptr());
  state.SetItemsProcessed(state.iterations() * kElements);
}

void open_model(benchmark::State& state) {
  const auto path = resolve_model_path("smollm2-135m");
  for (auto _ : state) benchmark::DoNotOptimize(open_checkpoint(path)->config());
}

void load_model(benchmark::State& state, at::ScalarType dtype) {
  const auto path = resolve_model_path("smollm2-135m");
  for (auto _ : state) {
    const auto checkpoint = open_checkpoint(path);
    std::vector<at::Tensor> tensors;
    for (const std::string& name : checkpoint->names()) tensors.push_back(checkpoint->load(name, dtype));
    benchmark::DoNotOptimize(tensors.data());
  }
}

void hash_model(benchmark::State& state) {
  const auto path = resolve_model_path("smollm2-135m");
  for (auto _ : state) benchmark::DoNotOptimize(open_checkpoint(path)->content_hash());
}

bool model_is_there() {
  try {
    resolve_model_path("smollm2-135m");
    return true;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

bool register_benchmarks() {
  for (const GgmlType type :
       {GgmlType::kF32, GgmlType::kF16, GgmlType::kBF16, GgmlType::kQ8_0, GgmlType::kQ4_0, GgmlType::kQ4_1,
        GgmlType::kQ5_0, GgmlType::kQ5_1, GgmlType::kQ4_K, GgmlType::kQ5_K, GgmlType::kQ6_K}) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      const std::string name = "dequantise/" + std::string(block_layout(type).name) + "/" + c10::toString(dtype);
      benchmark::RegisterBenchmark(name.c_str(), dequantise_blocks, type, dtype)
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
    }
  }
  if (!model_is_there()) return true;
  benchmark::RegisterBenchmark("smollm2/open", open_model)->UseRealTime()->Unit(benchmark::kMillisecond);
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    benchmark::RegisterBenchmark((std::string("smollm2/load/") + c10::toString(dtype)).c_str(), load_model, dtype)
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  }
  benchmark::RegisterBenchmark("smollm2/hash", hash_model)->UseRealTime()->Unit(benchmark::kMillisecond);
  return true;
}

[[maybe_unused]] const bool kRegistered = register_benchmarks();

}  // namespace
}  // namespace moebench
