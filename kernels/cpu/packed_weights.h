// Weights in the order in which the micro-kernels read them. Packed once, used for any number of tokens.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "kernels/moe_ffn.h"

namespace moebench::kernels {

inline int64_t divided_up(int64_t value, int64_t divisor) { return (value + divisor - 1) / divisor; }

// Zeroed memory, aligned to a cache line; large pieces to a huge page, of which they are made where the system has
// them.
class AlignedMemory {
 public:
  AlignedMemory() = default;
  // Throws std::bad_alloc.
  explicit AlignedMemory(size_t bytes);

  // To so many bytes where it has fewer; what it held is lost then. Throws std::bad_alloc.
  void grow(size_t bytes) {
    if (bytes_ < bytes) *this = AlignedMemory(bytes);
  }

  char* data() const { return data_; }

 private:
  struct Release {
    size_t mapped_bytes;  // 0: of malloc's
    void operator()(char* data) const;
  };
  std::unique_ptr<char, Release> memory_{nullptr, Release{0}};
  char* data_ = nullptr;
  size_t bytes_ = 0;
};

// A matrix as panels of 32 columns of products x . row: the panel's step s holds what four bytes of x multiply
// (micro_kernels.h). Rows and steps that are missing are zero.
struct Panels {
  char* data = nullptr;  // of a PanelMemory
  int64_t num_panels = 0;
  int64_t steps = 0;  // of a panel

  char* panel(int64_t index) const { return data + index * panel_bytes(); }
  int64_t panel_bytes() const;
  int64_t bytes() const { return num_panels * panel_bytes(); }
};

int64_t steps_of(int64_t columns, Dtype dtype);

// The panels of a layer next to one another: on pages of their own, those of small experts would be lost among page
// faults and misses of the address cache.
class PanelMemory {
 public:
  PanelMemory() = default;
  explicit PanelMemory(int64_t bytes) : memory_(bytes) {}
  // The same panels with memory; of all together there must be as much as they take.
  Panels take(Panels panels);

 private:
  AlignedMemory memory_;
  int64_t taken_ = 0;
};

// Of num_rows rows (at most 32), row_bytes apart: step s of row r goes to panel + s * kPanelStepBytes + r * kStepBytes.
void transpose_steps(const char* rows, int64_t row_bytes, int64_t num_rows, int64_t num_steps, char* panel);

// What pack and pack_pairs need. At least min_steps steps.
Panels panels_of(const Matrix& matrix, Dtype dtype, int64_t min_steps = 0);
Panels pair_panels_of(const Matrix& first, Dtype dtype);

// Panel p holds rows 32 p and on. panels: of panels_of, with memory.
void pack(const Matrix& matrix, Dtype dtype, const Panels& panels);
// Panel p holds rows 16 p and on of first, then the same of second. panels: of pair_panels_of, with memory.
void pack_pairs(const Matrix& first, const Matrix& second, Dtype dtype, const Panels& panels);

// As floats, the rest up to a multiple of 32 zero. Empty for null.
std::vector<float> padded_floats(const void* values, int64_t count, Dtype dtype);

struct PackedExpert {
  // What its panels take of a PanelMemory.
  static int64_t panel_bytes(const GatedExpert& expert, Dtype dtype);
  PackedExpert(const GatedExpert& expert, Dtype dtype, PanelMemory& memory);

  int64_t width;
  int64_t padded_width;  // a multiple of 16: activations of a visit
  Panels gate_up;
  Panels down;
  std::vector<float> output_bias, absent_bias;  // [D] padded, or empty
};

}  // namespace moebench::kernels
