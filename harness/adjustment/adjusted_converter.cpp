#include "harness/adjustment/adjusted_converter.h"

#include <functional>
#include <optional>
#include <utility>

#include "harness/adjustment/adjustment_preparation.h"
#include "harness/adjustment/layer_adjustment.h"

namespace moebench {
namespace {

class AdjustedObserver : public LayerObserver {
 public:
  // preparation: null where nothing was prepared.
  AdjustedObserver(const Converter& inner, const AdjustmentOptions& options, const LayerContext& context,
                   const AdjustmentPreparation* preparation)
      : shape_(budgeted_shape(options, context, preparation)) {
    inner_ = inner.observe_layer({.dense = context.dense,
                                  .num_layers = context.num_layers,
                                  .shape = shape_,
                                  .seed = context.seed,
                                  .num_domains = context.num_domains,
                                  .preparation = preparation == nullptr ? nullptr : preparation->own.get()});
    if (options.changes_layers()) adjustment_.emplace(options, context.dense, preparation);
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
      : inner_(std::move(inner)), options_(options) {}

  MoeShape shape_for(double active_ratio, const LlamaConfig& config) const override {
    return inner_->shape_for(active_ratio, config);
  }
  void check_shape(const MoeShape& shape, const LlamaConfig& config) const override {
    inner_->check_shape(shape, config);
    check_budgets(options_, shape, config, fits_inner(config));
  }
  CalibrationRequest calibration() const override { return adjusted_calibration(inner_->calibration(), options_); }
  std::shared_ptr<const Preparation> prepare(const ConversionContext& context) const override {
    const auto preparation = prepare_adjustment(options_, context, fits_inner(context.checkpoint.config()));
    preparation->own = inner_->prepare(context);
    return preparation;
  }
  std::unique_ptr<LayerObserver> observe_layer(const LayerContext& context) const override {
    return std::make_unique<AdjustedObserver>(*inner_, options_, context,
                                              static_cast<const AdjustmentPreparation*>(context.preparation));
  }
  void finish(const ConversionContext& context, Conversion& conversion) const override {
    inner_->finish(context, conversion);
  }
  RetrainRecipe retrain_recipe() const override { return inner_->retrain_recipe(); }

 private:
  std::function<void(const MoeShape&)> fits_inner(const LlamaConfig& config) const {
    return [this, config](const MoeShape& shape) { inner_->check_shape(shape, config); };
  }

  std::shared_ptr<const Converter> inner_;
  AdjustmentOptions options_;
};

}  // namespace

std::shared_ptr<const Converter> adjusted(std::shared_ptr<const Converter> inner, const AdjustmentOptions& options) {
  check_adjustment(options, "adjust");
  const bool is_off = !options.changes_layers() && options.budgets == "linear" && options.budget_slope == 0 &&
                      options.propagate == "auto";
  if (is_off) return inner;
  return std::make_shared<AdjustedConverter>(std::move(inner), options);
}

}  // namespace moebench
