#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/cpu/instruction_set.h"
#include "kernels/cuda/variants.h"
#include "kernels/variants.h"

namespace moebench::kernels {
namespace {

TEST(InstructionSetTest, EnvironmentChoosesAmongWhatTheMachineHas) {
  for (const InstructionSet* set : machine_instruction_sets()) {
    setenv("MOEBENCH_ISA", set->name, 1);
    EXPECT_EQ(chosen_instruction_set(), set);
  }
  setenv("MOEBENCH_ISA", "sse9", 1);
  EXPECT_THAT(chosen_instruction_set, testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("'sse9'")));
  unsetenv("MOEBENCH_ISA");
}

TEST(VariantsTest, UnknownNameIsRefusedWithThoseThatExist) {
  EXPECT_THAT([] { moe_ffn_variant("fast"); },
              testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("known: reference library")));
}

TEST(VariantsTest, CudaIsListedWhereThereIsADeviceAndElseRefusedWithTheReason) {
  const std::string& why = cuda::why_unavailable();
  const auto is_cuda = [](const MoeFfnVariant& variant) { return variant.name == "cuda"; };
  const auto& variants = moe_ffn_variants();
  EXPECT_EQ(std::any_of(variants.begin(), variants.end(), is_cuda), why.empty());
  if (why.empty()) {
    EXPECT_EQ(moe_ffn_variant("cuda").name, "cuda");
  } else {
    EXPECT_THAT([] { moe_ffn_variant("cuda"); },
                testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("kernel 'cuda': " + why)));
  }
}

}  // namespace
}  // namespace moebench::kernels
