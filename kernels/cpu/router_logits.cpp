#include "kernels/cpu/router_logits.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/bfloat16.h"

namespace moebench::kernels {
namespace {

bool has_second_panels(Router::Kind kind) {
  return kind == Router::Kind::kQuadratic || kind == Router::Kind::kGatedRows;
}

// [E, E] as [input, output padded]: an inner loop over outputs.
std::vector<float> transposed(const Matrix& matrix, int64_t padded_rows, Dtype dtype) {
  std::vector<float> result(matrix.columns * padded_rows);
  for (int64_t row = 0; row < matrix.rows; ++row) {
    for (int64_t column = 0; column < matrix.columns; ++column) {
      result[column * padded_rows + row] = element(matrix.data, row * matrix.row_stride + column, dtype);
    }
  }
  return result;
}

}  // namespace

int64_t PackedRouter::panel_bytes(const MoeFfn& network) {
  const Router& router = network.router;
  const int64_t second = has_second_panels(router.kind) ? panels_of(router.second, network.dtype).bytes() : 0;
  return panels_of(router.first, network.dtype).bytes() + second;
}

PackedRouter::PackedRouter(const MoeFfn& network, const InstructionSet& instruction_set, PanelMemory& memory)
    : kind_(network.router.kind),
      dtype_(network.dtype),
      hidden_size_(network.hidden_size),
      num_experts_(static_cast<int64_t>(network.experts.size())),
      padded_experts_(divided_up(num_experts_, kPanelColumns) * kPanelColumns),
      micro_kernels_(dtype_ == Dtype::kFloat32 ? instruction_set.float32 : instruction_set.bfloat16) {
  const Router& router = network.router;
  const auto packed = [&](const Matrix& matrix) {
    const Panels panels = memory.take(panels_of(matrix, dtype_));
    pack(matrix, dtype_, panels);
    return panels;
  };
  first_ = packed(router.first);
  if (has_second_panels(kind_)) second_ = packed(router.second);
  if (kind_ == Router::Kind::kTanhMlp) mlp_second_ = transposed(router.second, padded_experts_, dtype_);
  bias_ = padded_floats(router.bias, num_experts_, dtype_);
}

void PackedRouter::multiply(const Panels& panels, const void* const* rows, int num_rows, float* products,
                            bool adds) const {
  std::array<float, kMostRows * kPanelColumns> tile;
  for (int64_t panel = 0; panel < panels.num_panels; ++panel) {
    micro_kernels_.multiply(panels.panel(panel), panels.steps, rows, num_rows, tile.data());
    for (int row = 0; row < num_rows; ++row) {
      float* target = products + row * padded_experts_ + panel * kPanelColumns;
      const float* source = tile.data() + row * kPanelColumns;
      for (int64_t column = 0; column < kPanelColumns; ++column) {
        target[column] = adds ? target[column] + source[column] : source[column];
      }
    }
  }
}

// A square has twice the bits of its root: as bfloat16, it takes two of them.
void PackedRouter::add_squares(const void* const* rows, int num_rows, float* logits) const {
  thread_local std::vector<float> squares;
  thread_local std::vector<uint16_t> parts;
  std::array<const void*, kMostRows> square_rows;
  squares.resize(num_rows * hidden_size_);
  for (int row = 0; row < num_rows; ++row) {
    for (int64_t i = 0; i < hidden_size_; ++i) {
      const float value = element(rows[row], i, dtype_);
      squares[row * hidden_size_ + i] = value * value;
    }
    square_rows[row] = squares.data() + row * hidden_size_;
  }
  if (dtype_ == Dtype::kFloat32) return multiply(second_, square_rows.data(), num_rows, logits, /*adds=*/true);

  parts.resize(squares.size());
  for (int part = 0; part < 2; ++part) {
    for (size_t i = 0; i < squares.size(); ++i) {
      parts[i] = bfloat16_of(squares[i]);
      const float rest = squares[i] - float_of(parts[i]);
      squares[i] = std::isfinite(rest) ? rest : 0;  // an infinite square has no second part
    }
    for (int row = 0; row < num_rows; ++row) square_rows[row] = parts.data() + row * hidden_size_;
    multiply(second_, square_rows.data(), num_rows, logits, /*adds=*/true);
  }
}

void PackedRouter::gate_rows(const void* const* rows, int num_rows, float* logits) const {
  thread_local std::vector<float> up;
  up.resize(num_rows * padded_experts_);
  multiply(second_, rows, num_rows, up.data(), /*adds=*/false);
  for (int row = 0; row < num_rows; ++row) {
    for (int64_t expert = 0; expert < num_experts_; ++expert) {
      float& logit = logits[row * padded_experts_ + expert];
      logit = std::abs(up[row * padded_experts_ + expert] * (logit / (1 + std::exp(-logit))));
    }
  }
}

void PackedRouter::tanh_mlp(int num_rows, float* logits) const {
  thread_local std::vector<float> hidden;
  for (int row = 0; row < num_rows; ++row) {
    float* row_logits = logits + row * padded_experts_;
    hidden.assign(row_logits, row_logits + num_experts_);
    std::fill_n(row_logits, padded_experts_, 0.0f);
    for (int64_t input = 0; input < num_experts_; ++input) {
      const float value = std::tanh(hidden[input]);
      const float* weights = mlp_second_.data() + input * padded_experts_;
      for (int64_t expert = 0; expert < padded_experts_; ++expert) row_logits[expert] += value * weights[expert];
    }
  }
}

void PackedRouter::logits(const void* const* rows, int num_rows, float* logits) const {
  multiply(first_, rows, num_rows, logits, /*adds=*/false);
  if (kind_ == Router::Kind::kQuadratic) add_squares(rows, num_rows, logits);
  if (kind_ == Router::Kind::kGatedRows) gate_rows(rows, num_rows, logits);
  if (kind_ == Router::Kind::kTanhMlp) tanh_mlp(num_rows, logits);
  if (bias_.empty()) return;
  for (int row = 0; row < num_rows; ++row) {
    for (int64_t expert = 0; expert < num_experts_; ++expert) logits[row * padded_experts_ + expert] += bias_[expert];
  }
}

}  // namespace moebench::kernels
