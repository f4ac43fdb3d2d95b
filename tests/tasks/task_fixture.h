// A tiny model with its tokenizer and a text, and tasks by name.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "harness/model/moe_layer.h"
#include "harness/task.h"
#include "tests/fixtures/temporary_folder.h"
#include "tests/fixtures/tiny_checkpoint.h"

namespace moebench {

class TaskFixture : public testing::Test {
 protected:
  void SetUp() override {
    at::set_num_threads(1);  // on tensors this small, threads only wait for one another
    write_tiny_checkpoint(model_path_, tiny_options());
    load_model();
    write_text(std::string(40, 'x') + " The quick brown fox jumps over a lazy dog, and a dog sleeps on.");
  }

  static TinyCheckpointOptions tiny_options() { return {.max_position_embeddings = 96}; }

  void load_model() {
    tokenizer_ = Tokenizer::load(model_path_);
    model_ = LlamaModel::load(*open_checkpoint(model_path_), {});
  }

  void write_text(const std::string& text) { text_ = folder_.write("sample.txt", text); }
  std::vector<int32_t> ids() const { return tokenizer_->encode(read_file(text_)); }

  Measurement measure(const std::string& task, const nlohmann::json& options) {
    TaskContext context{*model_, *tokenizer_, conversion_ ? &*conversion_ : nullptr, {}};
    return TaskRegistry::instance().find(task).create(options)->measure(context);
  }

  // The value of a metric, which must be there once.
  static double value(const Measurement& measurement, const std::string& name) {
    double found = 0;
    int times = 0;
    for (const Metric& metric : measurement.metrics) {
      if (metric.name != name) continue;
      found = metric.value;
      ++times;
    }
    EXPECT_EQ(times, 1) << name;
    return found;
  }

  void apply(Conversion conversion) {
    conversion_ = std::move(conversion);
    apply_conversion(*conversion_, *model_);
  }

  TemporaryFolder folder_;
  std::filesystem::path model_path_ = folder_ / "model", text_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::optional<LlamaModel> model_;
  std::optional<Conversion> conversion_;
};

}  // namespace moebench
