#include "methods/domain_perplexity.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <ATen/ATen.h>

#include "harness/evidence/evidence_pass.h"
#include "harness/model/moe_layer.h"
#include "harness/scoring/window_scorer.h"

namespace moebench {
namespace {

// Prunes with the chunks of one domain; each is a sample.
class DomainPruner : public Converter {
 public:
  DomainPruner(const DomainPruning& settings, int64_t domain) : settings_(settings), domain_(domain) {}

  MoeShape shape_for(double, const LlamaConfig&) const override { return {}; }
  void check_shape(const MoeShape&, const LlamaConfig&) const override {}
  CalibrationRequest calibration() const override { return {.propagation = Propagation::kDense}; }
  std::unique_ptr<LayerObserver> observe_layer(const LayerContext& context) const override {
    return std::make_unique<Observer>(*this, context.dense.weights.gate_proj.size(0));
  }

 private:
  class Observer : public LayerObserver {
   public:
    Observer(const DomainPruner& pruner, int64_t num_neurons) : pruner_(pruner), fluctuation_(num_neurons) {}

    void observe(const FfnChunk& chunk) override {
      if (chunk.domain == pruner_.domain_) fluctuation_.observe_sample(chunk.activations);
    }

    LayerConversion convert(const DenseLayer& layer, const MoeShape&) override {
      const DomainPruning& settings = pruner_.settings_;
      LayerConversion conversion;
      conversion.shared = settings.pruning.prune(fluctuation_, layer.weights.down_proj, settings.num_kept);
      return conversion;
    }

   private:
    const DomainPruner& pruner_;
    ActivationFluctuation fluctuation_;
  };

  const DomainPruning& settings_;
  int64_t domain_;
};

// The text of every domain in samples.
struct DomainSamples {
  CalibrationText pruned_with;
  std::vector<std::vector<ScoreRequest>> held_out;
};

at::Tensor cut_into_samples(const at::Tensor& windows, int64_t sample_tokens) {
  const int64_t length = std::min(sample_tokens, windows.size(1));
  return windows.narrow(1, 0, windows.size(1) / length * length).reshape({-1, length}).contiguous();
}

DomainSamples divide(const CalibrationText& text, const DomainPruning& settings) {
  DomainSamples samples;
  samples.pruned_with.domains = text.domains;
  for (size_t domain = 0; domain < text.domains.size(); ++domain) {
    const at::Tensor all = cut_into_samples(text.windows[domain], settings.sample_tokens);
    const int64_t num_calibrating = all.size(0) - settings.held_out_samples;
    if (num_calibrating < settings.pruning.fewest_samples()) {
      throw std::invalid_argument(
          "dive: domain '" + text.domains[domain] + "' has " + std::to_string(all.size(0)) + " samples of " +
          std::to_string(all.size(1)) + " tokens, too few to prune with " +
          std::to_string(settings.pruning.fewest_samples()) + " and hold out " +
          std::to_string(settings.held_out_samples) +
          "; calibrate on more windows of each text or lower 'held_out_samples' or 'sample_tokens'");
    }
    samples.pruned_with.windows.push_back(all.narrow(0, 0, num_calibrating));
    samples.held_out.emplace_back();
    for (const at::Tensor& sample : all.narrow(0, num_calibrating, settings.held_out_samples).unbind(0)) {
      const int64_t* ids = sample.const_data_ptr<int64_t>();
      samples.held_out.back().push_back({.ids = {ids, ids + sample.numel()}});
    }
  }
  return samples;
}

std::vector<Conversion> prune_for_each_domain(const ConversionContext& context, const CalibrationText& text,
                                              const DomainPruning& settings,
                                              const std::function<void(double)>& progress) {
  std::vector<DomainPruner> pruners;
  for (size_t domain = 0; domain < text.domains.size(); ++domain) {
    pruners.emplace_back(settings, static_cast<int64_t>(domain));
  }
  std::vector<ConversionJob> jobs;
  for (const DomainPruner& pruner : pruners) jobs.push_back({.converter = &pruner, .shape = context.shape});
  return convert_all(context.checkpoint, context.precision, &text, jobs,
                     [&](const EvidenceProgress& pass) { progress(pass.fraction); });
}

double perplexity(const LlamaModel& model, const std::vector<ScoreRequest>& samples) {
  double sum = 0;
  size_t num_tokens = 0;
  for (const TokenScores& scores : score(model, samples)) {
    sum += scores.sum();
    num_tokens += scores.logprobs.size();
  }
  return std::exp(-sum / static_cast<double>(num_tokens));
}

}  // namespace

at::Tensor domain_perplexities(const ConversionContext& context, const DomainPruning& settings) {
  const DomainSamples samples = divide(*context.text, settings);
  const size_t num_domains = samples.held_out.size();
  const auto report = [&](double fraction) {
    if (context.progress) context.progress(fraction);
  };
  // The dense pass is taken for half of the work.
  const std::vector<Conversion> pruned =
      prune_for_each_domain(context, samples.pruned_with, settings, [&](double fraction) { report(fraction / 2); });
  const LlamaModel dense = LlamaModel::load(context.checkpoint, context.precision);
  std::vector<double> perplexities;
  for (const Conversion& conversion : pruned) {
    LlamaModel model = dense;
    apply_conversion(conversion, model);
    for (const std::vector<ScoreRequest>& held_out : samples.held_out) {
      perplexities.push_back(perplexity(model, held_out));
      report(0.5 + 0.5 * static_cast<double>(perplexities.size()) / static_cast<double>(num_domains * num_domains));
    }
  }
  const auto size = static_cast<int64_t>(num_domains);
  const at::Tensor matrix = at::tensor(perplexities, at::kDouble).view({size, size});
  if (!matrix.isfinite().all().item<bool>()) {
    throw std::runtime_error("dive: pruned to " + std::to_string(settings.num_kept) +
                             " neurons a layer, the model's perplexities are not finite; ask for wider experts");
  }
  return matrix;
}

}  // namespace moebench
