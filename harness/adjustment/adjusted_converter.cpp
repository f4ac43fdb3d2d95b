#include "harness/adjustment/adjusted_converter.h"

#include <optional>
#include <utility>

#include "harness/adjustment/layer_adjustment.h"
#include "harness/adjustment/layer_budget.h"

namespace moebench {
namespace {

class AdjustedObserver : public LayerObserver {
 public:
  AdjustedObserver(const Converter& inner, const AdjustmentOptions& options, const LayerContext& context)
      : shape_(layer_shape(context.shape, options.budget_slope, context.dense.index, context.num_layers)) {
    inner_ = inner.observe_layer({.dense = context.dense,
                                  .num_layers = context.num_layers,
                                  .shape = shape_,
                                  .seed = context.seed,
                                  .num_domains = context.num_domains,
                                  .preparation = context.preparation});
    if (options.changes_layers()) adjustment_.emplace(options, context.dense.weights);
  }

  void observe(const FfnChunk& chunk) override {
    inner_->observe(chunk);
    if (adjustment_) adjustment_->observe(chunk);
  }

  LayerConversion convert(const DenseLayer& layer, const MoeShape&) override {
    LayerConversion conversion = inner_->convert(layer, shape_);
    if (adjustment_) adjustment_->apply(conversion);
    return conversion;
  }

 private:
  MoeShape shape_;
  std::unique_ptr<LayerObserver> inner_;
  std::optional<LayerAdjustment> adjustment_;
};

class AdjustedConverter : public Converter {
 public:
  AdjustedConverter(std::shared_ptr<const Converter> inner, const AdjustmentOptions& options)
      : inner_(std::move(inner)), options_(options) {
    check_adjustment(options_, "adjust");
  }

  MoeShape shape_for(double active_ratio, const LlamaConfig& config) const override {
    return inner_->shape_for(active_ratio, config);
  }
  void check_shape(const MoeShape& shape, const LlamaConfig& config) const override {
    inner_->check_shape(shape, config);
    check_layer_shapes(shape, options_.budget_slope, config);
    for (int64_t layer = 0; layer < config.num_layers; ++layer) {
      inner_->check_shape(layer_shape(shape, options_.budget_slope, layer, config.num_layers), config);
    }
  }
  CalibrationRequest calibration() const override { return adjusted_calibration(inner_->calibration(), options_); }
  std::shared_ptr<const Preparation> prepare(const ConversionContext& context) const override {
    return inner_->prepare(context);
  }
  std::unique_ptr<LayerObserver> observe_layer(const LayerContext& context) const override {
    return std::make_unique<AdjustedObserver>(*inner_, options_, context);
  }
  void finish(const ConversionContext& context, Conversion& conversion) const override {
    inner_->finish(context, conversion);
  }
  RetrainRecipe retrain_recipe() const override { return inner_->retrain_recipe(); }

 private:
  std::shared_ptr<const Converter> inner_;
  AdjustmentOptions options_;
};

}  // namespace

std::shared_ptr<const Converter> adjusted(std::shared_ptr<const Converter> inner, const AdjustmentOptions& options) {
  const bool is_off = !options.changes_layers() && options.budget_slope == 0 && options.propagate == "auto";
  if (is_off) return inner;
  return std::make_shared<AdjustedConverter>(std::move(inner), options);
}

}  // namespace moebench
