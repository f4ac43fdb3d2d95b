#include "harness/retraining/trained_layer.h"

#include <array>
#include <utility>

#include <ATen/ATen.h>

#include "harness/model/weight.h"
#include "harness/retraining/layer_functions.h"
#include "harness/retraining/trained_attention.h"

namespace moebench {
namespace {

constexpr std::array kQkvNames = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"};
constexpr const char* kOutputName = "self_attn.o_proj";
constexpr std::array kMlpNames = {"mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"};

std::string layer_prefix(int64_t index) { return "model.layers." + std::to_string(index) + "."; }

void add_update(Conversion& conversion, const std::string& name, const LowRankUpdate& update) {
  const auto before = conversion.model_updates.find(name);
  const bool is_first = before == conversion.model_updates.end();
  conversion.model_updates[name] = joined(is_first ? std::nullopt : std::optional(before->second), update);
}

void replace(Conversion& conversion, const std::string& name, const at::Tensor& weight) {
  conversion.model_tensors[name] = weight;
  conversion.model_updates.erase(name);
}

GatedMlpWeights load_mlp(const WeightSource& source, const std::string& prefix) {
  const auto load = [&](const std::string& name) { return source.load(prefix + name + ".weight"); };
  return {load(kMlpNames[0]), load(kMlpNames[1]), load(kMlpNames[2])};
}

}  // namespace

at::Tensor WeightSource::load(const std::string& name) const {
  const auto tensor = conversion.model_tensors.find(name);
  const at::Tensor weight = tensor == conversion.model_tensors.end()
                                ? load_weight(checkpoint, name, {.dtype = at::kFloat})
                                : tensor->second.to(at::kFloat);
  const auto update = conversion.model_updates.find(name);
  return update == conversion.model_updates.end() ? weight : updated(weight, update->second);
}

at::Tensor load_norm(const WeightSource& source, const std::string& name, bool is_trained) {
  return source.load(name).clone().set_requires_grad(is_trained);
}

TrainedLayer::TrainedLayer(const WeightSource& source, int64_t index, const RetrainStage& stage, at::ScalarType dtype,
                           std::shared_ptr<const RotaryEmbedding> rotary_embedding, const at::Tensor& noise_weight,
                           at::Generator& generator)
    : prefix_(layer_prefix(index)),
      index_(index),
      config_(source.checkpoint.config()),
      trains_norms_(stage.norms),
      rotary_embedding_(std::move(rotary_embedding)),
      is_dense_(source.conversion.layers[index].keep_dense),
      mixture_(load_mlp(source, prefix_), source.conversion.layers[index], stage, dtype, noise_weight, generator) {
  std::vector<std::string> norms = {"input_layernorm.weight", "post_attention_layernorm.weight"};
  if (config_.qk_norm) norms.insert(norms.end(), {"self_attn.q_norm.weight", "self_attn.k_norm.weight"});
  for (const std::string& name : norms) norms_[name] = load_norm(source, prefix_ + name, trains_norms_);

  const WeightTraining training{stage.attention, stage.rank, stage.alpha, stage.dropout};
  std::vector<at::Tensor> qkv, biases;
  std::vector<int64_t> widths;
  for (const std::string name : kQkvNames) {
    qkv.push_back(source.load(prefix_ + name + ".weight"));
    widths.push_back(qkv.back().size(0));
    if (config_.attention_bias) biases.push_back(source.load(prefix_ + name + ".bias"));
  }
  using Direction = TrainedWeight::Direction;
  qkv_proj_ = TrainedWeight(at::cat(qkv), widths, Direction::kToBlocks, training, dtype, generator);
  if (!biases.empty()) qkv_bias_ = at::cat(biases).to(dtype);
  const at::Tensor output = source.load(prefix_ + kOutputName + ".weight");
  o_proj_ = TrainedWeight(output, {output.size(0)}, Direction::kToBlocks, training, dtype, generator);
}

at::Tensor TrainedLayer::attend(const at::Tensor& residual, LayerPass& pass) const {
  const int64_t batch = residual.size(0), num_tokens = residual.size(1);
  const double eps = config_.rms_norm_eps;
  const at::Tensor normed = trained_rms_norm(residual, norms_.at("input_layernorm.weight"), eps).flatten(0, 1);
  at::Tensor projected = qkv_proj_.apply(qkv_proj_.factors(), normed, pass.generator);
  if (qkv_bias_) projected = projected + *qkv_bias_;
  const std::vector<at::Tensor> qkv =
      projected.view({batch, num_tokens, -1, config_.head_dim})
          .transpose(1, 2)
          .split_with_sizes({config_.num_attention_heads, config_.num_key_value_heads, config_.num_key_value_heads}, 1);
  at::Tensor queries = qkv[0], keys = qkv[1];
  if (config_.qk_norm) {
    queries = trained_rms_norm(queries, norms_.at("self_attn.q_norm.weight"), eps);
    keys = trained_rms_norm(keys, norms_.at("self_attn.k_norm.weight"), eps);
  }
  const at::Tensor attended = trained_attention(rotary_embedding_->rotate(queries, 0),
                                                rotary_embedding_->rotate(keys, 0), qkv[2], config_.sliding_window);
  const at::Tensor heads = attended.transpose(1, 2).flatten(2).flatten(0, 1);
  return residual + o_proj_.apply(o_proj_.factors(), heads, pass.generator).view_as(residual);
}

at::Tensor TrainedLayer::forward(const at::Tensor& residual, LayerPass& pass) const {
  const at::Tensor attended = attend(residual, pass);
  const at::Tensor hidden =
      trained_rms_norm(attended, norms_.at("post_attention_layernorm.weight"), config_.rms_norm_eps).flatten(0, 1);
  return attended + mixture_.forward(hidden, pass).view_as(attended);
}

void TrainedLayer::add_parameters(std::vector<TrainedParameter>& parameters) const {
  if (trains_norms_) {
    for (const auto& [name, tensor] : norms_) parameters.push_back({prefix_ + name, tensor});
  }
  qkv_proj_.add_parameters(prefix_ + "self_attn.qkv_proj", parameters);
  o_proj_.add_parameters(prefix_ + kOutputName, parameters);
  mixture_.add_parameters(prefix_ + "mlp.", parameters);
}

void TrainedLayer::write_weight(const std::string& name, const TrainedWeight& weight, size_t block,
                                Conversion& conversion) const {
  const std::string full_name = prefix_ + name + ".weight";
  if (weight.is_replaced()) replace(conversion, full_name, weight.block_weight(block));
  if (weight.is_updated()) add_update(conversion, full_name, weight.block_update(block));
}

void TrainedLayer::write_dense(Conversion& conversion) const {
  const ExpertSpec expert = mixture_.dense_expert();
  const GatedMlpUpdates& updates = expert.updates;
  const std::array all_updates = {&updates.gate_proj, &updates.up_proj, &updates.down_proj};
  for (size_t projection = 0; projection < kMlpNames.size(); ++projection) {
    const std::string name = prefix_ + kMlpNames[projection] + ".weight";
    if (*all_updates[projection]) add_update(conversion, name, **all_updates[projection]);
    if (!expert.own_weights) continue;
    const GatedMlpWeights& own = *expert.own_weights;
    replace(conversion, name, std::array{own.gate_proj, own.up_proj, own.down_proj}[projection]);
  }
}

void TrainedLayer::write_to(Conversion& conversion) const {
  if (trains_norms_) {
    for (const auto& [name, tensor] : norms_) conversion.model_tensors[prefix_ + name] = tensor.detach().clone();
  }
  for (size_t block = 0; block < kQkvNames.size(); ++block)
    write_weight(kQkvNames[block], qkv_proj_, block, conversion);
  write_weight(kOutputName, o_proj_, 0, conversion);
  if (is_dense_) {
    write_dense(conversion);
  } else {
    mixture_.write_to(conversion.layers[index_]);
  }
}

}  // namespace moebench
