// What a measurement implements. To add one: a .cpp in tasks/ with a Task, its options and a Registration.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "harness/conversion.h"
#include "harness/metric.h"
#include "harness/model/llama.h"
#include "harness/registry.h"
#include "harness/text/corpus.h"
#include "harness/text/tokenizer.h"

namespace moebench {

// What a task may look at. model already has the conversion applied.
struct TaskContext {
  LlamaModel& model;
  const Tokenizer& tokenizer;
  const Conversion* conversion = nullptr;  // null: the dense parent
  std::function<void(double done, double total)> progress;
};

class Task {
 public:
  virtual ~Task() = default;
  // Identity of the data it reads ("" if none): part of the content key. Throws std::runtime_error if it is missing.
  virtual std::string data_hash() const = 0;
  virtual Measurement measure(TaskContext& context) const = 0;
  // Whether its metrics are times, which no two measurements have alike.
  virtual bool measures_time() const { return false; }
};

using TaskRegistry = Registry<Task>;

}  // namespace moebench
