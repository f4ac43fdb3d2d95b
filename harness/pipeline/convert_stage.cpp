// Conversions: those that see the dense stream of the same text share one pass over it.
#include <map>
#include <tuple>

#include <fmt/format.h>

#include "harness/error.h"
#include "harness/evidence/calibration_text.h"
#include "harness/evidence/evidence_pass.h"
#include "harness/interrupt.h"
#include "harness/pipeline/run_record.h"
#include "harness/pipeline/stages.h"

namespace moebench {
namespace {

constexpr const char* kConversions = "convert";

std::string pass_label(const PlannedModel& model, const ConversionPass& pass) {
  const PlannedConversion& first = model.conversions[pass.front()];
  if (pass.size() == 1) return "convert " + first.cell.label;
  return fmt::format("convert {} layouts, seed {}", pass.size(), first.seed);
}

// The calibration windows of one seed, from token streams that are made once.
class CalibrationWindows {
 public:
  explicit CalibrationWindows(const StageContext& context) : context_(context) {}

  CalibrationText draw(size_t calibration, uint64_t seed) {
    const PlannedCalibration& planned = context_.plan.calibrations[calibration];
    std::vector<CalibrationStream>& streams = streams_[calibration];
    if (streams.empty()) {
      for (const Corpus& corpus : planned.texts) {
        streams.push_back({corpus.name, token_stream(corpus, *context_.model.tokenizer)});
      }
    }
    return draw_calibration_text(streams, planned.spec.windows, planned.spec.window, seed);
  }

 private:
  const StageContext& context_;
  std::map<size_t, std::vector<CalibrationStream>> streams_;
};

std::vector<ConversionJob> make_jobs(const PlannedModel& model, const ConversionPass& pass) {
  std::vector<ConversionJob> jobs;
  for (const size_t index : pass) {
    const PlannedConversion& planned = model.conversions[index];
    nlohmann::json metadata = planned.cell.description();
    metadata["source"] = model.weights_hash;
    metadata["key"] = planned.cell.key();
    jobs.push_back({planned.converter.get(), planned.shape, planned.seed, std::move(metadata)});
  }
  return jobs;
}

bool needs_text(const PlannedConversion& planned) { return planned.converter->calibration().needs_text; }

std::vector<Metric> conversion_costs(const nlohmann::json& metadata) {
  std::vector<Metric> metrics;
  const auto seconds = metadata.find("seconds");
  if (seconds != metadata.end()) {
    double total = 0;
    for (const auto& [phase, value] : seconds->items()) {
      metrics.push_back({"conversion/seconds/" + phase, "s", value.get<double>(), Direction::kLowerIsBetter});
      total += value.get<double>();
    }
    metrics.push_back({"conversion/seconds", "s", total, Direction::kLowerIsBetter});
  }
  const auto memory = metadata.find("peak_memory_bytes");
  if (memory != metadata.end()) {
    metrics.push_back({"conversion/peak_memory", "bytes", memory->get<double>(), Direction::kLowerIsBetter});
  }
  return metrics;
}

void store_conversion(const StageContext& context, const SweepCell& cell, const Conversion& conversion,
                      double started) {
  const std::string key = cell.key();
  save_conversion(conversion, context.artifacts.path(key));
  RunRecord run = make_run(cell, started);
  run.artifacts = {context.artifacts.describe(key)};
  run.metrics = conversion_costs(conversion.metadata);
  run.model = ModelRecord{.role = "converted",
                          .weights_hash = key,
                          .parent_weights_hash = context.model.weights_hash,
                          .path = run.artifacts.front().path,
                          .architecture = context.model.checkpoint->config().architecture};
  context.store.add(run);
}

void convert(const StageContext& context, const ConversionPass& pass, CalibrationWindows& windows) {
  const double started = seconds_since_epoch();
  const PlannedModel& model = context.model;
  context.progress.start(kConversions, pass_label(model, pass), static_cast<double>(pass.size()));
  CalibrationText text;
  const PlannedConversion& first = model.conversions[pass.front()];
  if (needs_text(first)) text = windows.draw(first.calibration, first.seed);
  const std::vector<Conversion> conversions =
      convert_all(*model.checkpoint, model.precision, needs_text(first) ? &text : nullptr, make_jobs(model, pass),
                  [&](const EvidenceProgress& progress) {
                    throw_if_interrupted();
                    context.progress.update(progress.fraction);
                  });
  for (size_t job = 0; job < pass.size(); ++job) {
    store_conversion(context, model.conversions[pass[job]].cell, conversions[job], started);
  }
  context.progress.finish();
}

// Whether all went well. A pass of several is not blamed on any of them: they are then converted one by one.
bool try_together(const StageContext& context, const ConversionPass& pass, CalibrationWindows& windows) {
  try {
    convert(context, pass, windows);
    return true;
  } catch (const Interrupted&) {
    throw;
  } catch (const TryAgainError&) {
    throw;
  } catch (const std::exception&) {
    context.progress.abandon();
    return false;
  }
}

}  // namespace

// Those that see the dense stream share a pass. One that sees its own stream shares nothing but the loading of layers,
// so it goes alone: less is lost when the sweep is killed, and less held at a time.
std::vector<ConversionPass> conversion_passes(const PlannedModel& model, const std::vector<size_t>& todo) {
  std::vector<ConversionPass> passes;
  std::map<std::tuple<bool, size_t, uint64_t>, ConversionPass> dense_by_text;
  for (const size_t index : todo) {
    const PlannedConversion& planned = model.conversions[index];
    if (planned.converter->calibration().propagation == Propagation::kConverted) {
      passes.push_back({index});
    } else {
      dense_by_text[{needs_text(planned), planned.calibration, planned.seed}].push_back(index);
    }
  }
  for (auto& [text, pass] : dense_by_text) passes.push_back(std::move(pass));
  return passes;
}

void expect_conversions(const std::vector<ConversionPass>& passes, SweepProgress& progress) {
  for (const ConversionPass& pass : passes) progress.expect(kConversions, static_cast<double>(pass.size()));
}

std::vector<size_t> run_conversions(const StageContext& context, const std::vector<ConversionPass>& passes) {
  CalibrationWindows windows(context);
  std::vector<size_t> failed;
  for (const ConversionPass& pass : passes) {
    throw_if_interrupted();
    if (pass.size() > 1 && try_together(context, pass, windows)) continue;
    for (const size_t index : pass) {
      throw_if_interrupted();
      if (pass.size() > 1) context.progress.expect(kConversions);
      const SweepCell& cell = context.model.conversions[index].cell;
      if (!record_failure(context, cell, [&] { convert(context, {index}, windows); })) failed.push_back(index);
    }
  }
  return failed;
}

}  // namespace moebench
