#include <cstdlib>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/cpu/instruction_set.h"
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

}  // namespace
}  // namespace moebench::kernels
