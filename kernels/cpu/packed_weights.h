// Weights in the order in which the micro-kernels read them. Packed once, used for any number of tokens.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "kernels/moe_ffn.h"

namespace moebench::kernels {

// Zeroed memory, aligned to a cache line; large pieces in huge pages where the system gives them.
class AlignedMemory {
 public:
  AlignedMemory() = default;
  // Throws std::bad_alloc.
  explicit AlignedMemory(size_t bytes);

  char* data() const { return data_.get(); }
  size_t bytes() const { return bytes_; }

 private:
  struct Release {
    size_t mapped_bytes;  // 0: of malloc's
    void operator()(char* data) const;
  };
  std::unique_ptr<char, Release> data_{nullptr, Release{0}};
  size_t bytes_ = 0;
};

// A matrix as panels of 32 columns of products x . row: the panel's step s holds what four bytes of x multiply
// (micro_kernels.h). Rows and steps that are missing are zero.
struct Panels {
  AlignedMemory memory;
  int64_t num_panels = 0;
  int64_t steps = 0;  // of a panel

  char* panel(int64_t index) const;
  int64_t panel_bytes() const;
};

int64_t steps_of(int64_t columns, Dtype dtype);

// Panel p holds rows 32 p and on. At least min_steps steps.
Panels pack(const Matrix& matrix, Dtype dtype, int64_t min_steps = 0);
// Panel p holds rows 16 p and on of first, then the same of second.
Panels pack_pairs(const Matrix& first, const Matrix& second, Dtype dtype);

// As floats, the rest up to a multiple of 32 zero. Empty for null.
std::vector<float> padded_floats(const void* values, int64_t count, Dtype dtype);

struct PackedExpert {
  explicit PackedExpert(const GatedExpert& expert, Dtype dtype);

  int64_t width;
  int64_t padded_width;  // a multiple of 16: activations of a visit
  Panels gate_up;
  Panels down;
  std::vector<float> output_bias, absent_bias;  // [D] padded, or empty
};

}  // namespace moebench::kernels
