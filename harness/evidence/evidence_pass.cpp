#include "harness/evidence/evidence_pass.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "harness/model/linear.h"
#include "harness/model/moe_layer.h"
#include "harness/peak_memory.h"

namespace moebench {
namespace {

class Timer {
 public:
  explicit Timer(double& seconds) : seconds_(seconds) {}
  ~Timer() { seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

 private:
  double& seconds_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

bool has_windows(const CalibrationText* text) {
  return text != nullptr && std::any_of(text->windows.begin(), text->windows.end(),
                                        [](const at::Tensor& windows) { return windows.size(0) > 0; });
}

// A job on its way through the layers.
struct RunningJob {
  RunningJob(const ConversionJob& job, const LlamaConfig& config) : job(job) {
    conversion.metadata = job.metadata.is_null() ? nlohmann::json::object() : job.metadata;
    conversion.metadata["shape"] = to_string(job.shape, config.intermediate_size);
    conversion.metadata["seed"] = job.seed;
  }

  void prepare(const ConversionContext& context) {
    const Timer timer(prepare_seconds);
    num_layers = context.checkpoint.config().num_layers;
    if (job.converter->calibration().needs_text && !has_windows(context.text)) {
      throw std::invalid_argument("this method needs calibration text; name some with --calibration");
    }
    num_domains = context.text == nullptr ? 0 : static_cast<int64_t>(context.text->domains.size());
    preparation = job.converter->prepare(context);
  }
  void begin_layer(const DenseLayer& dense) {
    observer = job.converter->observe_layer({.dense = dense,
                                             .num_layers = num_layers,
                                             .shape = job.shape,
                                             .seed = job.seed,
                                             .num_domains = num_domains,
                                             .preparation = preparation.get()});
  }
  void observe(const FfnChunk& chunk) {
    const Timer timer(observe_seconds);
    observer->observe(chunk);
  }
  void end_layer(const DenseLayer& dense) {
    const Timer timer(convert_seconds);
    conversion.layers.push_back(observer->convert(dense, job.shape));
    observer.reset();
  }

  std::unique_ptr<FeedForward> last_feed_forward(const LlamaLayer& layer) const {
    const LayerConversion& last = conversion.layers.back();
    if (last.keep_dense) return std::make_unique<GatedMlp>(layer.dense_weights());
    return std::make_unique<MoeLayer>(layer.dense_weights(), last);
  }

  void finish(const ConversionContext& context) {
    const Timer timer(finish_seconds);
    job.converter->finish(context, conversion);
    preparation.reset();
  }
  void record_cost(double load_seconds, double forward_seconds) {
    conversion.metadata["seconds"] = {{"prepare", prepare_seconds}, {"load", load_seconds},
                                      {"forward", forward_seconds}, {"observe", observe_seconds},
                                      {"convert", convert_seconds}, {"finish", finish_seconds}};
    conversion.metadata["peak_memory_bytes"] = peak_memory_bytes();
  }

  const ConversionJob& job;
  Conversion conversion;
  std::shared_ptr<const Preparation> preparation;
  std::unique_ptr<LayerObserver> observer;  // of the current layer
  int64_t num_layers = 0, num_domains = 0;
  double prepare_seconds = 0, observe_seconds = 0, convert_seconds = 0, finish_seconds = 0;
};

// The residual of every window: per domain, per window [window, hidden_size].
using Residuals = std::vector<std::vector<at::Tensor>>;

// One residual stream and the jobs that see it.
class Stream {
 public:
  Stream(Propagation propagation, Residuals residuals, std::vector<RunningJob*> jobs)
      : propagation_(propagation), residuals_(std::move(residuals)), jobs_(std::move(jobs)) {}

  // Windows that run_layer shows to the layer or to its conversion.
  int64_t num_steps() const {
    int64_t num_windows = 0;
    for (const std::vector<at::Tensor>& windows : residuals_) num_windows += static_cast<int64_t>(windows.size());
    return propagation_ == Propagation::kConverted ? 2 * num_windows : num_windows;
  }

  void run_layer(const LlamaLayer& layer, const std::function<void()>& step_done) {
    const DenseLayer dense{layer.index(), layer.dense_weights()};
    for (RunningJob* job : jobs_) job->begin_layer(dense);
    for (size_t domain = 0; domain < residuals_.size(); ++domain) {
      for (at::Tensor& residual : residuals_[domain]) {
        show_window(layer, residual, static_cast<int64_t>(domain));
        step_done();
      }
    }
    for (RunningJob* job : jobs_) job->end_layer(dense);
    if (propagation_ == Propagation::kConverted) propagate_converted(layer, step_done);
  }

  void record_cost(double load_seconds) const {
    for (RunningJob* job : jobs_) job->record_cost(load_seconds, forward_seconds_);
  }

 private:
  // residual: [tokens, hidden_size]. Becomes what the next layer sees; in a converted stream, what the converted FFN's
  // output will be added to.
  void show_window(const LlamaLayer& layer, at::Tensor& residual, int64_t domain) {
    const GatedMlpWeights& dense = layer.dense_weights();
    at::Tensor inputs, gate, up, activations;
    {
      const Timer timer(forward_seconds_);
      residual = layer.attend(residual.unsqueeze(0)).squeeze(0);
      inputs = layer.feed_forward_input(residual);
      gate = apply_linear(inputs, dense.gate_proj);
      up = apply_linear(inputs, dense.up_proj);
      activations = at::silu(gate).mul_(up);
    }
    const FfnChunk chunk{inputs, gate, up, activations, residual, domain};
    for (RunningJob* job : jobs_) job->observe(chunk);
    if (propagation_ == Propagation::kDense) {
      const Timer timer(forward_seconds_);
      residual = residual + apply_linear(activations, dense.down_proj);
    }
  }

  void propagate_converted(const LlamaLayer& layer, const std::function<void()>& step_done) {
    const Timer timer(forward_seconds_);
    const std::unique_ptr<FeedForward> feed_forward = jobs_.front()->last_feed_forward(layer);  // its only job
    for (std::vector<at::Tensor>& windows : residuals_) {
      for (at::Tensor& residual : windows) {
        residual = residual + feed_forward->forward(layer.feed_forward_input(residual));
        step_done();
      }
    }
  }

  Propagation propagation_;
  Residuals residuals_;
  std::vector<RunningJob*> jobs_;
  double forward_seconds_ = 0;
};

Residuals embed_text(const Checkpoint& checkpoint, const CalibrationText* text, const Precision& precision) {
  Residuals residuals;
  for (const at::Tensor& windows : text->windows) residuals.push_back(embed(checkpoint, windows, precision).unbind(0));
  return residuals;
}

// Jobs whose observers are shown no text ride on a stream without windows.
std::vector<Stream> make_streams(std::vector<RunningJob>& jobs, const std::function<Residuals()>& embedded_text) {
  std::vector<RunningJob*> without_text, dense, converted;
  for (RunningJob& running : jobs) {
    const CalibrationRequest request = running.job.converter->calibration();
    auto& kind = !request.needs_text || !request.observes_layers  ? without_text
                 : request.propagation == Propagation::kConverted ? converted
                                                                  : dense;
    kind.push_back(&running);
  }
  std::vector<Stream> streams;
  if (!without_text.empty()) streams.emplace_back(Propagation::kDense, Residuals(), without_text);
  if (dense.empty() && converted.empty()) return streams;
  const Residuals residuals = embedded_text();
  if (!dense.empty()) streams.emplace_back(Propagation::kDense, residuals, dense);
  for (RunningJob* job : converted) {
    streams.emplace_back(Propagation::kConverted, residuals, std::vector<RunningJob*>{job});
  }
  return streams;
}

// Of the whole, what the steps of methods that look at the whole model first are taken to be.
constexpr double kPreparation = 0.5;

// Counts steps and tells how far the pass is.
class PassProgress {
 public:
  PassProgress(const std::vector<Stream>& streams, int64_t num_layers, double prepared,
               const std::function<void(const EvidenceProgress&)>& progress)
      : num_layers_(num_layers), prepared_(prepared), progress_(progress) {
    for (const Stream& stream : streams) steps_a_layer_ += stream.num_steps();
  }

  void step_done() {
    ++steps_;
    report();
  }

  void layer_done() {
    ++layers_;
    steps_ = 0;
    report();
  }

 private:
  void report() const {
    if (!progress_) return;
    const double in_layer = steps_a_layer_ == 0 ? 0 : static_cast<double>(steps_) / static_cast<double>(steps_a_layer_);
    const double passed = (static_cast<double>(layers_) + in_layer) / static_cast<double>(num_layers_);
    progress_({layers_, num_layers_, prepared_ + (1 - prepared_) * passed});
  }

  int64_t num_layers_, steps_a_layer_ = 0, layers_ = 0, steps_ = 0;
  double prepared_;
  const std::function<void(const EvidenceProgress&)>& progress_;
};

}  // namespace

std::vector<Conversion> convert_all(const Checkpoint& checkpoint, const Precision& precision,
                                    const CalibrationText* text, const std::vector<ConversionJob>& jobs,
                                    const std::function<void(const EvidenceProgress&)>& progress) {
  const at::NoGradGuard no_grad;
  reset_peak_memory();
  const LlamaConfig& config = checkpoint.config();
  std::vector<RunningJob> running;
  for (const ConversionJob& job : jobs) running.emplace_back(job, config);
  double prepared = 0;
  const auto context_of = [&](const RunningJob& running_job) {
    const bool needs_text = running_job.job.converter->calibration().needs_text;
    return ConversionContext{checkpoint,
                             precision,
                             needs_text ? text : nullptr,
                             running_job.job.shape,
                             running_job.job.seed,
                             [&](double fraction) {
                               if (progress) progress({0, config.num_layers, prepared = kPreparation * fraction});
                             }};
  };
  for (RunningJob& job : running) job.prepare(context_of(job));
  double load_seconds = 0;
  std::vector<Stream> streams = make_streams(running, [&] {
    const Timer timer(load_seconds);
    return embed_text(checkpoint, text, precision);
  });

  PassProgress pass_progress(streams, config.num_layers, prepared, progress);
  for (int64_t index = 0; index < config.num_layers; ++index) {
    std::optional<LlamaLayer> layer;
    {
      const Timer timer(load_seconds);
      layer = LlamaLayer::load(checkpoint, index, precision);
    }
    for (Stream& stream : streams) stream.run_layer(*layer, [&] { pass_progress.step_done(); });
    pass_progress.layer_done();
  }

  for (RunningJob& job : running) job.finish(context_of(job));
  for (const Stream& stream : streams) stream.record_cost(load_seconds);
  std::vector<Conversion> conversions;
  for (RunningJob& job : running) conversions.push_back(std::move(job.conversion));
  return conversions;
}

}  // namespace moebench
