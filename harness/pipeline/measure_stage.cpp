// Measurements: the model is loaded once; conversions take turns in its feed-forward slots.
#include <fmt/format.h>

#include "harness/interrupt.h"
#include "harness/model/moe_layer.h"
#include "harness/pipeline/run_record.h"
#include "harness/pipeline/stages.h"

namespace moebench {
namespace {

// Oracle routers compute every expert, so they are timed apart.
std::string kind_of(const StageContext& context, const PlannedMeasurement& measurement) {
  return context.plan.tasks[measurement.task].spec.name + (measurement.thing.oracle ? " oracle" : "");
}

ModelRecord model_record(const StageContext& context, const PlannedMeasurement& measurement) {
  ModelRecord record;
  record.role = "dense";
  record.weights_hash = context.model.weights_hash;
  record.path = context.model.checkpoint->path().filename().string();
  record.architecture = context.model.checkpoint->config().architecture;
  const MeasuredThing& thing = measurement.thing;
  if (!thing.conversion) return record;
  const std::string key = conversion_file_key(context.model, thing);
  record.role = thing.retraining ? "retrained" : "converted";
  record.weights_hash = key + (thing.oracle ? "/oracle" : "");
  record.parent_weights_hash = context.model.weights_hash;
  record.path = context.artifacts.path(key).filename().string();
  return record;
}

std::optional<DatasetRecord> dataset_record(const StageContext& context, const PlannedTask& task, int64_t tokens) {
  if (task.data_hash.empty()) return std::nullopt;
  DatasetRecord record;
  record.name = task.options.value("text", task.options.value("tasks", task.spec.name));
  record.content_hash = task.data_hash;
  record.tokenizer_hash = context.model.tokenizer_hash;
  record.tokens = tokens;
  return record;
}

// One model whose slots hold the dense parent or one of the conversions.
class MeasuredModel {
 public:
  explicit MeasuredModel(const StageContext& context) : context_(context) {}

  void measure(const PlannedMeasurement& measurement) {
    const PlannedTask& task = context_.plan.tasks[measurement.task];
    const double started = seconds_since_epoch();
    context_.progress.start(kind_of(context_, measurement), measurement.cell.label);
    if (!dense_) dense_ = LlamaModel::load(*context_.model.checkpoint, context_.model.precision);
    choose(measurement.thing);
    TaskContext task_context{.model = *model_,
                             .tokenizer = *context_.model.tokenizer,
                             .conversion = conversion_ ? &*conversion_ : nullptr,
                             .progress = [this](double done, double total) {
                               throw_if_interrupted();
                               if (total > 0) context_.progress.update(done / total);
                             }};
    Measurement result = task.task->measure(task_context);
    RunRecord run = make_run(measurement.cell, started);
    run.metrics = std::move(result.metrics);
    run.items = std::move(result.items);
    run.model = model_record(context_, measurement);
    run.dataset = dataset_record(context_, task, result.text_tokens);
    context_.store.add(run);
    context_.progress.finish();
  }

 private:
  void choose(const MeasuredThing& thing) {
    if (chosen_ == thing) return;
    // What is thrown below leaves nothing chosen, not half a conversion.
    chosen_.reset();
    conversion_.reset();
    model_ = dense_;
    if (thing.conversion) {
      Conversion conversion = load_conversion(context_.artifacts.path(conversion_file_key(context_.model, thing)));
      if (thing.oracle) conversion = with_oracle_router(conversion);
      apply_conversion(conversion, *model_);
      conversion_ = std::move(conversion);
    }
    chosen_ = thing;
  }

  const StageContext& context_;
  std::optional<LlamaModel> dense_;  // from the first measurement on: a model that cannot be loaded fails its cells
  std::optional<LlamaModel> model_;  // shares dense_'s weights, but for what the chosen conversion changes
  std::optional<Conversion> conversion_;
  std::optional<MeasuredThing> chosen_;
};

}  // namespace

void expect_measurements(const StageContext& context, const std::vector<size_t>& todo) {
  for (const size_t index : todo) context.progress.expect(kind_of(context, context.model.measurements[index]));
}

int64_t run_measurements(const StageContext& context, const std::vector<size_t>& todo) {
  if (todo.empty()) return 0;
  MeasuredModel model(context);
  int64_t failed = 0;
  for (const size_t index : todo) {
    throw_if_interrupted();
    const PlannedMeasurement& measurement = context.model.measurements[index];
    failed += record_failure(context, measurement.cell, [&] { model.measure(measurement); }) ? 0 : 1;
  }
  return failed;
}

}  // namespace moebench
