#include "harness/checkpoint/safetensors.h"

#include <cstring>
#include <fstream>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/error.h"
#include "tests/fixtures/refusal.h"
#include "tests/fixtures/temporary_folder.h"

namespace moebench {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string with_length(uint64_t length, std::string_view rest) {
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes.append(rest);
}

std::string file_bytes(std::string_view header, std::string_view data) {
  return with_length(header.size(), header).append(data);
}

const std::string kEightBytes(8, '\1');

class SafetensorsTest : public testing::Test {
 protected:
  std::string refusal_of(std::string_view bytes) const {
    const auto path = folder_.write("x.safetensors", bytes);
    return refusal([&] { SafetensorsFile file(path); });
  }
  // Of a file with eight bytes of data.
  std::string refusal_of_header(std::string_view header) const { return refusal_of(file_bytes(header, kEightBytes)); }
  std::string refusal_of_tensor(const std::string& description) const {
    const std::string message = refusal_of_header("{\"t\": " + description + "}");
    EXPECT_THAT(message, testing::AnyOf("accepted", AllOf(HasSubstr("x.safetensors: "), HasSubstr("'t'"))));
    return message;
  }

  TemporaryFolder folder_;
};

// The bytes that the reference implementation (safetensors 0.8 for Python) makes of these tensors.
TEST_F(SafetensorsTest, WritesWhatTheReferenceWrites) {
  const std::map<std::string, at::Tensor> tensors = {{"b", at::tensor({1.5f, -2.0f})},
                                                     {"a", at::tensor({1.0f, 2.0f, 3.0f}).view({1, 3})},
                                                     {"half", at::tensor({1.0f}).to(at::kHalf)},
                                                     {"n", at::tensor({int64_t{7}})},
                                                     {"scalar", at::scalar_tensor(3, at::kByte)},
                                                     {"empty", at::zeros({0, 4})}};
  write_safetensors(folder_ / "ours.safetensors", tensors, {});
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"n":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},)"
      R"("a":{"dtype":"F32","shape":[1,3],"data_offsets":[8,20]},"b":{"dtype":"F32","shape":[2],"data_offsets":[20,28]},)"
      R"("empty":{"dtype":"F32","shape":[0,4],"data_offsets":[28,28]},)"
      R"("half":{"dtype":"F16","shape":[1],"data_offsets":[28,30]},)"
      R"("scalar":{"dtype":"U8","shape":[],"data_offsets":[30,31]}}   )";
  const std::string_view data("\7\0\0\0\0\0\0\0\0\0\x80?\0\0\0@\0\0@@\0\0\xc0?\0\0\0\xc0\0<\3", 31);
  EXPECT_EQ(read_file(folder_ / "ours.safetensors"), file_bytes(header, data));
}

TEST_F(SafetensorsTest, ReadsWhatItWrites) {
  std::map<std::string, at::Tensor> tensors;
  for (const auto dtype : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt, at::kShort,
                           at::kChar, at::kByte, at::kBool}) {
    tensors[c10::toString(dtype)] = at::arange(6).view({2, 3}).to(dtype);
  }
  tensors["scalar"] = at::scalar_tensor(2.5);
  tensors["empty"] = at::zeros({3, 0});
  tensors["strided"] = at::arange(12).view({3, 4}).t();
  write_safetensors(folder_ / "x.safetensors", tensors, {{"format", "mine"}, {"note", "größer"}});
  const SafetensorsFile file(folder_ / "x.safetensors");
  EXPECT_EQ(file.names().size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    EXPECT_EQ(file.view(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(at::equal(file.view(name), tensor)) << name;
  }
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"format", "mine"}, {"note", "größer"}}));
  EXPECT_FALSE(file.contains("other"));
  EXPECT_THAT(refusal([&] { file.view("other"); }), HasSubstr("tensor 'other' is missing"));
}

TEST_F(SafetensorsTest, HeaderOfOddLengthIsReadAllTheSame) {
  const std::string header = R"({"t":{"dtype":"I32","shape":[2],"data_offsets":[0,8]}})";
  ASSERT_NE(header.size() % 4, 0u);
  const SafetensorsFile file(
      folder_.write("x.safetensors", file_bytes(header, std::string_view("\5\0\0\0\6\0\0\0", 8))));
  EXPECT_TRUE(at::equal(file.view("t"), at::tensor({5, 6}, at::kInt)));
}

TEST_F(SafetensorsTest, WriterRefusesWhatTheFormatLacks) {
  EXPECT_THROW(write_safetensors(folder_ / "x", {{"c", at::zeros({1}, at::kComplexFloat)}}, {}), std::invalid_argument);
  EXPECT_THROW(write_safetensors(folder_ / "x", {{"__metadata__", at::zeros({1})}}, {}), std::invalid_argument);
  EXPECT_THROW(write_safetensors(folder_ / "absent/x", {{"t", at::zeros({1})}}, {}), TryAgainError);
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(SafetensorsTest, RefusesTheFileCutAtAnyByte) {
  write_safetensors(folder_ / "x.safetensors", {{"a", at::ones({3})}, {"b", at::ones({2, 2}).to(at::kHalf)}}, {});
  const std::string bytes = read_file(folder_ / "x.safetensors");
  for (size_t length = 0; length < bytes.size(); ++length) {
    ASSERT_THAT(refusal_of(std::string_view(bytes).substr(0, length)), HasSubstr("x.safetensors: ")) << length;
  }
  EXPECT_EQ(refusal_of(bytes), "accepted");
  EXPECT_THAT(refusal_of(bytes + '\0'), HasSubstr("last 1 bytes belong to no tensor"));
}

TEST_F(SafetensorsTest, RefusesHeadersThatAreNoHeaders) {
  EXPECT_THAT(refusal_of(with_length(~uint64_t{0}, "{}")), HasSubstr("header length 18446744073709551615"));
  EXPECT_THAT(refusal_of(with_length(100'000'001, "{}")), HasSubstr("not a safetensors file"));
  EXPECT_THAT(refusal_of(with_length(99'999'999, "{}")), HasSubstr("incomplete download?"));
  EXPECT_THAT(refusal_of(with_length(0, "")), HasSubstr("does not begin with '{'"));
  EXPECT_THAT(refusal_of_header("[]"), HasSubstr("does not begin with '{'"));
  EXPECT_THAT(refusal_of_header("{\"t\": "), HasSubstr("header: is not JSON"));
  EXPECT_THAT(refusal_of_header("{\"\xFF\": {}}"), HasSubstr("header: is not JSON in UTF-8"));
  EXPECT_THAT(refusal_of_header("{\"t\":" + std::string(1000, '[')), HasSubstr("nested too deep"));
  EXPECT_THAT(refusal_of_header("{\"__metadata__\": []}"), HasSubstr("__metadata__ is not an object"));
  EXPECT_THAT(refusal_of_header("{\"__metadata__\": {\"format\": 1}}"), HasSubstr("\"format\" is not a string"));
  EXPECT_THAT(refusal_of_header("{\"a\\nb\": {}}"), HasSubstr("not printable"));
}

TEST_F(SafetensorsTest, RefusesDuplicateKeys) {
  const std::string tensor = R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  EXPECT_THAT(refusal_of_header("{\"t\":" + tensor + ",\"t\":" + tensor + "}"), HasSubstr("key \"t\" occurs twice"));
  EXPECT_THAT(refusal_of_header(R"({"t":{"dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8]}})"),
              HasSubstr("key \"shape\" occurs twice"));
}

TEST_F(SafetensorsTest, RefusesDescriptionsThatDoNotFit) {
  EXPECT_EQ(refusal_of_tensor(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})"), "accepted");
  EXPECT_THAT(refusal_of_tensor(R"({"dtype":"F64","shape":[2],"data_offsets":[0,8]})"), HasSubstr("take 16 bytes"));
  EXPECT_THAT(refusal_of_tensor(R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})"), HasSubstr("take 12 bytes"));
  EXPECT_THAT(refusal_of_tensor(R"({"dtype":"F32","shape":[3],"data_offsets":[0,12]})"), HasSubstr("ends at byte 12"));
  EXPECT_THAT(refusal_of_tensor(R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})"), HasSubstr("data_offsets"));
  EXPECT_THAT(refusal_of_tensor(R"({"dtype":"F32","shape":[2],"data_offsets":[0]})"), HasSubstr("data_offsets"));
  EXPECT_THAT(refusal_of_tensor(R"({"dtype":"F32","shape":[2],"data_offsets":[-8,0]})"), HasSubstr("data_offsets"));
  EXPECT_THAT(refusal_of_tensor(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8.0]})"), HasSubstr("data_offsets"));
  EXPECT_THAT(refusal_of_tensor(R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})"), HasSubstr("shape"));
  EXPECT_THAT(refusal_of_tensor(R"({"dtype":"F32","shape":2,"data_offsets":[0,8]})"), HasSubstr("shape"));
  EXPECT_THAT(refusal_of_tensor(R"({"dtype":"F32","data_offsets":[0,8]})"), HasSubstr("shape"));
  EXPECT_THAT(refusal_of_tensor(R"({"shape":[2],"data_offsets":[0,8]})"), HasSubstr("dtype is missing"));
  EXPECT_THAT(refusal_of_tensor(R"({"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]})"),
              HasSubstr("\"F8_E4M3\" is not read"));
  EXPECT_THAT(refusal_of_tensor("7"), HasSubstr("not described by an object"));
}

TEST_F(SafetensorsTest, RefusesShapesWhoseSizeOverflows) {
  for (const char* shape : {"[1152921504606846976]", "[4611686018427387904,4]", "[4294967296,4294967296]",
                            "[0,4611686018427387904,4611686018427387904]", "[18446744073709551615]"}) {
    EXPECT_THAT(refusal_of_tensor(R"({"dtype":"F32","shape":)" + std::string(shape) + R"(,"data_offsets":[0,8]})"),
                testing::Ne("accepted"))
        << shape;
  }
}

TEST_F(SafetensorsTest, RefusesOverlapsAndHoles) {
  const auto two = [&](const char* first, const char* second) {
    return refusal_of_header(R"({"a":{"dtype":"I16","shape":[2],"data_offsets":)" + std::string(first) +
                             R"(},"b":{"dtype":"I16","shape":[2],"data_offsets":)" + second + "}}");
  };
  EXPECT_EQ(two("[0,4]", "[4,8]"), "accepted");
  EXPECT_EQ(two("[4,8]", "[0,4]"), "accepted");
  EXPECT_THAT(two("[0,4]", "[0,4]"), HasSubstr("overlap or leave a hole"));
  EXPECT_THAT(two("[0,4]", "[2,6]"), HasSubstr("tensor 'b' begins at byte 2 of the data instead of 4"));
  EXPECT_THAT(refusal_of_tensor(R"({"dtype":"I16","shape":[2],"data_offsets":[4,8]})"), HasSubstr("leave a hole"));
}

}  // namespace
}  // namespace moebench
