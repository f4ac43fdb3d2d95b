#include <cmath>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <dlfcn.h>
#include <gtest/gtest.h>

namespace moebench {
namespace {

constexpr const char* kQuestion = "mkl_serv_intel_cpu_true";

TEST(MklDispatchTest, LibtorchIsAnsweredByTheProgram) {
  ASSERT_NE(dlopen("libtorch_cpu.so", RTLD_LAZY | RTLD_NOLOAD), nullptr);
  const auto question = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, kQuestion));
  ASSERT_NE(question, nullptr);
  Dl_info answerer{}, program{};
  ASSERT_NE(dladdr(reinterpret_cast<void*>(question), &answerer), 0);
  ASSERT_NE(dladdr(&kQuestion, &program), 0);
  EXPECT_STREQ(answerer.dli_fname, program.dli_fname);
  EXPECT_EQ(question(), 1);
}

TEST(MklDispatchTest, LibtorchStillAsks) {
  void* const libtorch = dlopen("libtorch_cpu.so", RTLD_LAZY | RTLD_NOLOAD);
  ASSERT_NE(libtorch, nullptr);
  EXPECT_NE(dlsym(libtorch, kQuestion), nullptr) << "this libtorch's MKL has no such function: see mkl_dispatch.cpp";
}

TEST(MklDispatchTest, ProductsEqualThoseInDouble) {
  at::Generator generator = at::detail::createCPUGenerator(1);
  for (const int64_t rows : {1, 31, 257, 2048}) {
    const at::Tensor input = at::randn({rows, 96}, generator), weight = at::randn({130, 96}, generator);
    const at::Tensor expected = at::mm(input.to(at::kDouble), weight.to(at::kDouble).t());
    const at::Tensor error = (at::linear(input, weight) - expected).abs();
    // Sums of 96 products of unit normals: a standard deviation of sqrt(96), and rounding below 1e-6 of that each.
    EXPECT_LT(error.max().item<double>(), 1e-5 * std::sqrt(96.0)) << rows;
  }
}

}  // namespace
}  // namespace moebench
