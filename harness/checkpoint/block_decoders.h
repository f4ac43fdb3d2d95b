// One decoder a block format: whole blocks in, floats out.
#pragma once

#include <cstdint>

namespace moebench {

using BlockDecoder = void (*)(const uint8_t* blocks, int64_t num_blocks, float* values);

void decode_f32(const uint8_t* blocks, int64_t num_blocks, float* values);
void decode_f16(const uint8_t* blocks, int64_t num_blocks, float* values);
void decode_bf16(const uint8_t* blocks, int64_t num_blocks, float* values);
void decode_q4_0(const uint8_t* blocks, int64_t num_blocks, float* values);
void decode_q4_1(const uint8_t* blocks, int64_t num_blocks, float* values);
void decode_q5_0(const uint8_t* blocks, int64_t num_blocks, float* values);
void decode_q5_1(const uint8_t* blocks, int64_t num_blocks, float* values);
void decode_q8_0(const uint8_t* blocks, int64_t num_blocks, float* values);
void decode_q4_k(const uint8_t* blocks, int64_t num_blocks, float* values);
void decode_q5_k(const uint8_t* blocks, int64_t num_blocks, float* values);
void decode_q6_k(const uint8_t* blocks, int64_t num_blocks, float* values);

// Little-endian fp16 at any address.
float half_at(const uint8_t* bytes);

}  // namespace moebench
