// Retrainings: each is run once, through all its marks, and resumed from its state file where it was interrupted.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include "harness/interrupt.h"
#include "harness/model/weight.h"
#include "harness/pipeline/run_record.h"
#include "harness/pipeline/stages.h"
#include "harness/retraining/retrainer.h"

namespace moebench {
namespace {

constexpr const char* kRetrainings = "retrain";

double budget_of(const PlannedRetraining& retraining) { return static_cast<double>(retraining.marks.back()); }

// The texts one after the other, in tokens; made once.
class RetrainText {
 public:
  explicit RetrainText(const StageContext& context) : context_(context) {}

  const at::Tensor& ids() {
    if (ids_.defined()) return ids_;
    std::vector<at::Tensor> streams;
    for (const Corpus& corpus : context_.plan.retrain_texts) {
      streams.push_back(token_stream(corpus, *context_.model.tokenizer));
    }
    return ids_ = at::cat(streams);
  }

 private:
  const StageContext& context_;
  at::Tensor ids_;
};

std::vector<Metric> retraining_costs(const nlohmann::json& retraining) {
  std::vector<Metric> metrics = {
      {"retraining/seconds", "s", retraining.at("seconds").get<double>(), Direction::kLowerIsBetter},
      {"retraining/peak_memory", "bytes", retraining.at("peak_memory_bytes").get<double>(), Direction::kLowerIsBetter}};
  for (const nlohmann::json& point : retraining.at("curve")) {
    const auto tokens = point.at("tokens").get<int64_t>();
    metrics.push_back(
        {fmt::format("retraining/loss/{}", tokens), "nats", point.at("loss").get<double>(), Direction::kLowerIsBetter});
  }
  return metrics;
}

void store_mark(const StageContext& context, const SweepCell& cell, const Conversion& conversion, double started) {
  const std::string key = cell.key();
  save_conversion(conversion, context.artifacts.path(key));
  RunRecord run = make_run(cell, started);
  run.artifacts = {context.artifacts.describe(key)};
  run.metrics = retraining_costs(conversion.metadata.at("retraining"));
  run.model = ModelRecord{.role = "retrained",
                          .weights_hash = key,
                          .parent_weights_hash = context.model.weights_hash,
                          .path = run.artifacts.front().path,
                          .architecture = context.model.checkpoint->config().architecture};
  context.store.forget(key);  // a mark that was there before a later one was lost
  context.store.add(run);
}

void run_retraining(const StageContext& context, const PlannedRetraining& planned, RetrainText& text) {
  const double started = seconds_since_epoch();
  context.progress.start(kRetrainings, planned.cells.back().label, budget_of(planned));
  const PlannedConversion& source = context.model.conversions[planned.conversion];
  const Conversion conversion = load_conversion(context.artifacts.path(source.cell.key()));
  const RetrainRequest request{.checkpoint = *context.model.checkpoint,
                               .conversion = conversion,
                               .recipe = planned.recipe,
                               .ids = text.ids(),
                               .window = context.plan.spec.retraining->window,
                               .seed = source.seed,
                               .marks = planned.marks,
                               .dtype = dtype_named(context.plan.spec.retraining->dtype),
                               .state_file = context.artifacts.path(planned.cells.back().key() + ".state"),
                               .progress = [&](const RetrainProgress& progress) {
                                 throw_if_interrupted();
                                 context.progress.update(progress.fraction);
                               }};
  retrain(request, [&](int64_t tokens, const Conversion& retrained) {
    const auto mark = std::find(planned.marks.begin(), planned.marks.end(), tokens) - planned.marks.begin();
    store_mark(context, planned.cells[static_cast<size_t>(mark)], retrained, started);
  });
  std::filesystem::remove(request.state_file);
  context.progress.finish();
}

}  // namespace

std::string conversion_file_key(const PlannedModel& model, const MeasuredThing& thing) {
  if (thing.retraining) return model.retrainings[*thing.retraining].cells[thing.mark].key();
  return model.conversions[*thing.conversion].cell.key();
}

void expect_retrainings(const StageContext& context, const std::vector<size_t>& todo) {
  for (const size_t index : todo) context.progress.expect(kRetrainings, budget_of(context.model.retrainings[index]));
}

std::vector<size_t> run_retrainings(const StageContext& context, const std::vector<size_t>& todo) {
  RetrainText text(context);
  std::vector<size_t> failed;
  for (const size_t index : todo) {
    throw_if_interrupted();
    const PlannedRetraining& planned = context.model.retrainings[index];
    if (!record_failure(context, planned.cells.back(), [&] { run_retraining(context, planned, text); })) {
      failed.push_back(index);
    }
  }
  return failed;
}

}  // namespace moebench
