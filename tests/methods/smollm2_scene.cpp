#include "tests/methods/smollm2_scene.h"

#include <cmath>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "harness/evidence/evidence_pass.h"
#include "harness/model/moe_layer.h"
#include "harness/scoring/window_scorer.h"
#include "tests/model/smollm2.h"

namespace moebench {
namespace {

const Precision kFp32;

}  // namespace

std::optional<Smollm2Scene> Smollm2Scene::open() {
  std::unique_ptr<Checkpoint> checkpoint = open_smollm2();
  const std::optional<GoldenArrays> evaluation = GoldenArrays::read("b_eval_ids");
  const std::optional<GoldenArrays> released = GoldenArrays::read("b_cmoe_smollm2_S3A3E8");
  if (!checkpoint || !evaluation || !released) return std::nullopt;
  CalibrationText calibration;
  calibration.domains = {"wikitext2"};
  calibration.windows = {(*released)["calib_ids"]};
  return Smollm2Scene(std::move(checkpoint), std::move(calibration), (*evaluation)["test_ids"]);
}

Conversion Smollm2Scene::convert(const Converter& converter, const MoeShape& shape) const {
  converter.check_shape(shape, checkpoint_->config());
  return convert_all(*checkpoint_, kFp32, &calibration_, {{.converter = &converter, .shape = shape}}).front();
}

double Smollm2Scene::perplexity(const Conversion& conversion, int64_t num_blocks) const {
  const at::NoGradGuard no_grad;
  LlamaModel model = LlamaModel::load(*checkpoint_, kFp32);
  apply_conversion(conversion, model);
  std::vector<ScoreRequest> requests;
  for (int64_t block = 0; block < num_blocks; ++block) {
    const int64_t* first = test_ids_.const_data_ptr<int64_t>() + block * 2048;
    requests.push_back({.ids = {first, first + 2048}});
  }
  double nll = 0;
  for (const TokenScores& scores : score(model, requests)) nll -= scores.sum() / 2047;
  return std::exp(nll / static_cast<double>(num_blocks));
}

}  // namespace moebench
