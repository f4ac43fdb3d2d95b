#include <cmath>
#include <stdexcept>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/evidence/evidence_pass.h"
#include "harness/model/moe_layer.h"
#include "methods/layer_distillation.h"
#include "tests/methods/layer_scene.h"
#include "tests/model/memory_checkpoint.h"

namespace moebench {
namespace {

constexpr int64_t kNeurons = 32, kHidden = 8;
const MoeShape kHalf{0, 2, 4, 8};

StudentLayer student_of(const GatedMlpWeights& dense, int64_t num_experts, at::ScalarType dtype) {
  const at::Generator generator = at::detail::createCPUGenerator(5);
  return {.experts = {dense.gate_proj.to(dtype), dense.up_proj.to(dtype), dense.down_proj.to(dtype)},
          .router = at::randn({num_experts, dense.gate_proj.size(1)}, generator).to(dtype) * 0.3,
          .relative_scale = at::full({1}, 0.8, dtype)};
}

std::vector<at::Tensor> tensors_of(const StudentLayer& student) {
  return {student.experts.gate_proj, student.experts.up_proj, student.experts.down_proj, student.router,
          student.relative_scale};
}

class LadimoTest : public testing::Test {
 protected:
  LayerConversion distilled(nlohmann::json options = nlohmann::json::object()) const {
    if (!options.contains("epochs")) options["epochs"] = 20;
    return convert_layer(*make_converter("ladimo", options), dense_, windows_, kHalf, /*seed=*/3);
  }

  GatedMlpWeights dense_ = random_mlp(kNeurons, kHidden, 1);
  std::vector<at::Tensor> windows_ = random_windows(5, 64, kHidden, 2);
};

// Every number of every gradient, dense mixing and two of four experts.
TEST(StudentGradientTest, IsTheLossesSlope) {
  const GatedMlpWeights dense = random_mlp(12, 5, 1);
  const at::Tensor inputs = random_windows(1, 20, 5, 2).front().to(at::kDouble);
  const LayerText text{inputs, random_windows(1, 20, 5, 3).front().to(at::kDouble)};
  for (const int64_t top_k : {4, 2, 1}) {
    const StudentLayer student = student_of(dense, 4, at::kDouble);
    const std::vector<at::Tensor> gradients = tensors_of(loss_and_gradients(student, text, top_k, 0.1).gradients);
    const std::vector<at::Tensor> parameters = tensors_of(student);
    for (size_t index = 0; index < parameters.size(); ++index) {
      double* numbers = parameters[index].data_ptr<double>();
      for (int64_t number = 0; number < parameters[index].numel(); ++number) {
        const double before = numbers[number];
        numbers[number] = before + 1e-5;
        const double above = loss_and_gradients(student, text, top_k, 0.1).loss;
        numbers[number] = before - 1e-5;
        const double below = loss_and_gradients(student, text, top_k, 0.1).loss;
        numbers[number] = before;
        EXPECT_NEAR(gradients[index].flatten()[number].item<double>(), (above - below) / 2e-5, 1e-7)
            << "top_k " << top_k << ", parameter " << index << ", number " << number;
      }
    }
  }
}

// Renormalised to one expert, the weight is always 1: only the balance loss moves the router.
TEST(StudentGradientTest, OneExpertATokenLeavesTheRouterToTheBalanceLoss) {
  const StudentLayer student = student_of(random_mlp(12, 5, 1), 4, at::kDouble);
  const LayerText text{random_windows(1, 20, 5, 2).front(), random_windows(1, 20, 5, 3).front()};
  EXPECT_LT(loss_and_gradients(student, text, 1, 0).gradients.router.abs().max().item<double>(), 1e-12);
  EXPECT_GT(loss_and_gradients(student, text, 1, 0.1).gradients.router.abs().max().item<double>(), 1e-6);
}

TEST(StudentGradientTest, AnExpertThatNobodyChoosesHasNone) {
  StudentLayer student = student_of(random_mlp(12, 5, 1), 4, at::kFloat);
  at::Tensor inputs = random_windows(1, 40, 5, 2).front();
  inputs.select(1, 0).fill_(1);
  student.router[3].zero_();
  student.router[3][0] = -100;
  const StudentLayer gradients = loss_and_gradients(student, {inputs, inputs}, 2, 0.1).gradients;
  EXPECT_EQ(gradients.experts.gate_proj.narrow(0, 9, 3).abs().max().item<double>(), 0);
  EXPECT_GT(gradients.experts.gate_proj.narrow(0, 0, 3).abs().max().item<double>(), 0);
}

TEST_F(LadimoTest, AllExpertsUnderARouterThatDoesNotChooseAreTheDenseLayer) {
  StudentLayer student = student_of(dense_, 4, at::kFloat);
  student.router.zero_();
  student.relative_scale.fill_(1);
  const at::Tensor difference = student.forward(windows_[0], 4) - GatedMlp(dense_).forward(windows_[0]);
  EXPECT_LT(difference.abs().max().item<double>(), 1e-5);
}

TEST_F(LadimoTest, DistillationLowersTheErrorOnTextItTrainsOnAndOnTextItDoesNot) {
  const auto text_of = [&](const at::Tensor& inputs) { return LayerText{inputs, GatedMlp(dense_).forward(inputs)}; };
  const LayerText training = text_of(at::cat(windows_).narrow(0, 0, 256)), held_out = text_of(windows_[4]);
  StudentLayer student = student_of(dense_, 4, at::kFloat);
  const double before = loss_and_gradients(student, training, 2, 0).loss;
  const std::vector<double> errors =
      distil(student, training, held_out, {.epochs = 20, .batch_tokens = 32, .top_k = 2, .learning_rate = 0.01},
             at::detail::createCPUGenerator(1));
  EXPECT_LT(loss_and_gradients(student, training, 2, 0).loss, 0.9 * before);
  ASSERT_EQ(errors.size(), 21);
  EXPECT_LT(errors.back(), 0.9 * errors.front());
}

TEST_F(LadimoTest, TheRecordedErrorIsTheConvertedLayers) {
  const LayerConversion conversion = distilled();
  const at::Tensor output = MoeLayer(dense_, conversion).forward(windows_[4]);
  const at::Tensor target = GatedMlp(dense_).forward(windows_[4]);
  const double error = ((output - target).square().sum(1) / target.square().sum(1)).mean().item<double>();
  EXPECT_NEAR(conversion.notes.at("distillation_error").back(), error, 1e-5 * error);
  EXPECT_NEAR(conversion.notes.at("profile").at("mass_error").at(1), error, 1e-5 * error);
  EXPECT_LT(error, conversion.notes.at("distillation_error").front());
}

TEST_F(LadimoTest, SlicesShareOutTheDenseNeurons) {
  for (const char* init : {"random", "k_means"}) {
    const LayerConversion conversion =
        distilled({{"init", init}, {"learning_rate", 1e-30}, {"router_learning_rate", 1e-30}, {"epochs", 1}});
    at::Tensor sum = at::zeros_like(windows_[0]);
    for (const ExpertSpec& expert : conversion.experts) {
      EXPECT_EQ(expert.own_weights->gate_proj.size(0), 8);
      sum += GatedMlp(*expert.own_weights).forward(windows_[0]);
    }
    EXPECT_LT((sum - GatedMlp(dense_).forward(windows_[0])).abs().max().item<double>(), 1e-5) << init;
  }
}

TEST_F(LadimoTest, HeldOutWindowsDoNotTrain) {
  const LayerConversion conversion = distilled();
  windows_.back() = windows_.back() * 2;
  const LayerConversion other = distilled();
  for (size_t expert = 0; expert < 4; ++expert) {
    EXPECT_TRUE(other.experts[expert].own_weights->gate_proj.equal(conversion.experts[expert].own_weights->gate_proj));
  }
  EXPECT_NE(other.notes.at("distillation_error"), conversion.notes.at("distillation_error"));
}

TEST_F(LadimoTest, LayersAboveTheBoundStayDenseAndSayWhy) {
  const LayerConversion conversion = distilled({{"dense_above", 1e-6}});
  EXPECT_TRUE(conversion.keep_dense);
  EXPECT_TRUE(conversion.experts.empty());
  EXPECT_GT(conversion.notes.at("distillation_error").back(), 1e-6);
  EXPECT_FALSE(distilled({{"dense_above", 100}}).keep_dense);
}

TEST_F(LadimoTest, OneWindowIsRefused) {
  windows_.resize(1);
  EXPECT_THAT([&] { distilled(); },
              testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("needs two windows")));
}

TEST_F(LadimoTest, ARateThatDivergesIsRefused) {
  EXPECT_THAT(
      [&] {
        distilled({{"learning_rate", 1e30}});
      },
      testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("learning_rate")));
}

TEST_F(LadimoTest, SharedExpertsAndOptionsOutOfRangeAreRefused) {
  EXPECT_THROW(make_converter("ladimo")->check_shape({1, 1, 8, 4}, {.intermediate_size = 32}), std::invalid_argument);
  for (const char* option : {"epochs", "batch_tokens", "learning_rate", "router_learning_rate", "held_out"}) {
    EXPECT_THROW(make_converter("ladimo", {{option, 0}}), std::invalid_argument) << option;
  }
  EXPECT_THROW(make_converter("ladimo", {{"balance", -1}}), std::invalid_argument);
}

TEST(LadimoPolicyTest, TheModelComputesWhatWasAskedForAndSaysWhoseMethodItIs) {
  LlamaConfig config = tiny_llama_config();
  config.intermediate_size = 64;
  const MemoryCheckpoint checkpoint(config);
  CalibrationText text{.domains = {"text"},
                       .windows = {at::randint(67, {4, 40}, at::detail::createCPUGenerator(1), at::kLong)}};
  const std::unique_ptr<Converter> converter = make_converter("ladimo", {{"epochs", 1}});
  const Conversion conversion =
      convert_all(checkpoint, {}, &text, {{.converter = converter.get(), .shape = {0, 4, 8, 8}}}).front();
  double visits = 0;
  for (const LayerConversion& layer : conversion.layers) visits += layer.mean_visits / 2;
  EXPECT_NEAR(visits, 4, 0.5);
  EXPECT_DOUBLE_EQ(conversion.metadata.at("policy").at("active_share"), visits / 8);
  EXPECT_THAT(conversion.metadata.at("remark").get<std::string>(), testing::HasSubstr("LaDiMo-style"));
}

}  // namespace
}  // namespace moebench
