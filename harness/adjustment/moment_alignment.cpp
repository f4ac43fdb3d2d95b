#include "harness/adjustment/moment_alignment.h"

#include <ATen/ATen.h>

#include "harness/adjustment/expert_parts.h"

namespace moebench {
namespace {

// Of every channel, in double.
class ChannelMoments {
 public:
  explicit ChannelMoments(int64_t num_channels)
      : sums_(at::zeros({num_channels}, at::kDouble)), squares_(at::zeros({num_channels}, at::kDouble)) {}

  void observe(const at::Tensor& outputs) {
    const at::Tensor values = outputs.to(at::kCPU, at::kDouble);
    sums_ += values.sum(0);
    squares_ += values.square().sum(0);
    num_tokens_ += static_cast<double>(values.size(0));
  }
  at::Tensor mean() const { return sums_ / num_tokens_; }
  at::Tensor variance() const { return (squares_ / num_tokens_ - mean().square()).clamp_min(0); }

 private:
  at::Tensor sums_, squares_;
  double num_tokens_ = 0;
};

// factor: [hidden_size] double.
void scale_output(ExpertSpec& expert, const GatedMlpWeights& dense, const at::Tensor& factor) {
  const auto scaled = [](const at::Tensor& tensor, const at::Tensor& by) {
    return (tensor.to(at::kCPU, at::kDouble) * by).to(tensor.scalar_type());
  };
  set_expert_down_proj(expert, scaled(expert_down_proj(expert, dense), factor.unsqueeze(1)));
  if (expert.output_bias) expert.output_bias = scaled(*expert.output_bias, factor);
  if (expert.absent_bias) expert.absent_bias = scaled(*expert.absent_bias, factor);
}

}  // namespace

void align_moments(const LayerEvidence& evidence, LayerConversion& conversion) {
  const GatedMlpWeights& dense = evidence.dense();
  const MoeLayer layer(dense, conversion);
  ChannelMoments wanted(dense.down_proj.size(0)), converted(dense.down_proj.size(0));
  double weights = 0;
  for (const EvidenceTokens& window : evidence.windows()) {
    wanted.observe(window.targets);
    converted.observe(layer.forward(window.inputs));
    weights += routing_matrix(layer, window.inputs).weights.sum(at::kDouble).item<double>();
  }
  const at::Tensor variance = converted.variance();
  const at::Tensor factor = at::where(variance.gt(0), (wanted.variance() / variance).sqrt(), at::ones_like(variance));
  if (conversion.shared) scale_output(*conversion.shared, dense, factor);
  for (ExpertSpec& expert : conversion.experts) scale_output(expert, dense, factor);
  const at::Tensor bias = (wanted.mean() - factor * converted.mean()).to(dense.down_proj.scalar_type());
  add_constant_output(conversion, bias, weights / static_cast<double>(evidence.num_tokens()));
}

}  // namespace moebench
