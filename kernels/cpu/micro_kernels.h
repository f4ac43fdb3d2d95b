// What the fused kernel asks of an instruction set. Included by sources that are compiled for processors which need not
// be the one that runs: no inline function here, for the linker might keep their copy.
//
// Weights come as panels of 32 columns. A step is four bytes of an input row, one float or two bfloat16 next to one
// another, and the 128 bytes of a panel that they multiply: 32 columns of the same.
// Every sum runs over steps in ascending order in one accumulator, whatever the number of rows: a row's result does not
// depend on the rows beside it.
#pragma once

#include <cstdint>

namespace moebench::kernels {

constexpr int kMostRows = 32;  // of any MicroKernels
constexpr int64_t kPanelColumns = 32;
constexpr int64_t kStepBytes = 4;                                // of an input row
constexpr int64_t kPanelStepBytes = kPanelColumns * kStepBytes;  // of a panel

// Functions of one dtype. At most max_rows rows a call, which is at most kMostRows; rows[r] points to an input row of
// steps steps.
struct MicroKernels {
  int max_rows;

  // products[r * 32 + c] = rows[r] . column c
  void (*multiply)(const void* panel, int64_t steps, const void* const* rows, int num_rows, float* products);

  // Of a panel of 16 columns of gate_proj and then the same 16 of up_proj: silu(gate) * up, rounded once.
  // activations: row r at r * row_bytes, 16 elements each.
  void (*activate)(const void* panel, int64_t steps, const void* const* rows, int num_rows, void* activations,
                   int64_t row_bytes);

  // sums[r][c] += weights[r] * (rows[r] . column c + bias[c]) - absent[c]; bias and absent may be null.
  void (*accumulate)(const void* panel, int64_t steps, const void* const* rows, int num_rows, const float* weights,
                     const float* bias, const float* absent, float* const* sums);

  // To the nearest, ties to even. Any count.
  void (*round)(const float* values, int64_t count, void* rounded);

  // steps times as many independent products and sums as there are accumulators, in registers: the peak to compare
  // with.
  void (*chain)(int64_t steps);
  int chain_step_flops;

  // Set for bfloat16 where no instruction multiplies it, so that every product takes its operands apart. Where many
  // rows share a panel it is done once: widened are kernels of float operands (a step of pairs is two of floats) with
  // the same sums in the same order, whose activations are bfloat16.
  const MicroKernels* widened = nullptr;
  void (*widen_panel)(const void* panel, int64_t steps, float* floats) = nullptr;
  void (*widen_row)(const void* row, int64_t steps, float* floats) = nullptr;
};

struct InstructionSet {
  const char* name;
  MicroKernels float32, bfloat16;

  // exponentials[i] = exp(values[i] - shift), count a multiple of 32.
  void (*exponentials)(const float* values, float shift, int64_t count, float* exponentials);
  // ranks[i]: how many keys come before keys[i]: larger ones, and equal ones of a lower index.
  void (*rank)(const int32_t* keys, int64_t count, int32_t* ranks);
  // Reads bytes, a multiple of 4096, and does nothing with them.
  void (*read)(const void* data, int64_t bytes);
};

extern const InstructionSet kAvx2, kAvx512, kAvx512Bf16, kAvx512Amx;

}  // namespace moebench::kernels
