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
  return context.plan.tasks[measurement.task].spec.name + (measurement.oracle ? " oracle" : "");
}

void restore_dense(LlamaModel& model) {
  for (LlamaLayer& layer : model.layers()) {
    layer.replace_feed_forward(std::make_shared<GatedMlp>(layer.dense_weights()));
  }
}

ModelRecord model_record(const StageContext& context, const PlannedMeasurement& measurement) {
  ModelRecord record;
  record.role = "dense";
  record.weights_hash = context.model.weights_hash;
  record.path = context.model.checkpoint->path().filename().string();
  record.architecture = context.model.checkpoint->config().architecture;
  if (!measurement.conversion) return record;
  const std::string key = context.model.conversions[*measurement.conversion].cell.key();
  record.role = "converted";
  record.weights_hash = key + (measurement.oracle ? "/oracle" : "");
  record.parent_weights_hash = context.model.weights_hash;
  record.path = context.artifacts.path(key).filename().string();
  return record;
}

std::optional<DatasetRecord> dataset_record(const StageContext& context, const PlannedTask& task, int64_t tokens) {
  if (task.data_hash.empty()) return std::nullopt;
  DatasetRecord record;
  record.name = task.options.value("text", task.spec.name);
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
    if (!model_) model_ = LlamaModel::load(*context_.model.checkpoint, context_.model.precision);
    choose(measurement);
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
  void choose(const PlannedMeasurement& measurement) {
    if (measurement.conversion == chosen_ && measurement.oracle == oracle_) return;
    // What is thrown below leaves the dense model, not half a conversion.
    restore_dense(*model_);
    conversion_.reset();
    chosen_.reset();
    oracle_ = false;
    if (!measurement.conversion) return;
    const std::string key = context_.model.conversions[*measurement.conversion].cell.key();
    Conversion conversion = load_conversion(context_.artifacts.path(key));
    if (measurement.oracle) conversion = with_oracle_router(conversion);
    apply_conversion(conversion, *model_);
    conversion_ = std::move(conversion);
    chosen_ = measurement.conversion;
    oracle_ = measurement.oracle;
  }

  const StageContext& context_;
  std::optional<LlamaModel> model_;  // from the first measurement on: a model that cannot be loaded fails its cells
  std::optional<Conversion> conversion_;
  std::optional<size_t> chosen_;
  bool oracle_ = false;
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
