// GgufFile on good and hostile bytes.
#include "harness/checkpoint/gguf.h"

#include <cmath>
#include <limits>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fixtures/gguf_builder.h"
#include "tests/fixtures/refusal.h"
#include "tests/fixtures/temporary_folder.h"

namespace moebench {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string floats(std::initializer_list<float> values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  std::copy_n(reinterpret_cast<const char*>(values.begin()), bytes.size(), bytes.begin());
  return bytes;
}

GgufTensorSpec tensor(const char* name, float value = 1) {
  return {.name = name, .sizes = {2}, .data = floats({value, value + 1})};
}

class GgufTest : public testing::Test {
 protected:
  std::filesystem::path write(const GgufBuilder& builder) const { return folder_.write("x.gguf", builder.build()); }
  std::string refusal_of(const GgufBuilder& builder) const {
    return refusal([&] { GgufFile file(write(builder)); });
  }
  std::string refusal_of(const GgufTensorSpec& spec) const { return refusal_of(GgufBuilder().add_tensor(spec)); }

  TemporaryFolder folder_;
};

TEST_F(GgufTest, ReadsValuesOfEveryKind) {
  GgufBuilder builder;
  builder.add("u", uint32_t{7}).add("i", int32_t{-7}).add("f", 0.5f).add("b", true).add("s", "text");
  builder.add("strings", std::vector<std::string>{"a", "", "ccc"}).add("integers", std::vector<int32_t>{1, -2});
  const GgufFile file(write(builder));
  EXPECT_EQ(file.find_integer("u"), 7);
  EXPECT_EQ(file.find_integer("i"), -7);
  EXPECT_EQ(file.find_number("f"), 0.5);
  EXPECT_EQ(file.find_number("i"), -7);
  EXPECT_EQ(file.find_bool("b"), true);
  EXPECT_EQ(file.find_string("s"), "text");
  EXPECT_EQ(file.find_strings("strings"), (std::vector<std::string_view>{"a", "", "ccc"}));
  EXPECT_EQ(file.find_integers("integers"), (std::vector<int64_t>{1, -2}));
  EXPECT_EQ(file.find_numbers("integers"), (std::vector<double>{1, -2}));
  EXPECT_EQ(file.find_string("absent"), std::nullopt);
}

TEST_F(GgufTest, ValueOfAnotherTypeIsRefusedByKey) {
  GgufBuilder builder;
  builder.add("f", 0.5f).add("strings", std::vector<std::string>{"a"});
  builder.add_raw("huge", 10, std::string(8, '\xFF'));  // uint64 that int64 cannot hold
  const GgufFile file(write(builder));
  for (const auto& message : {refusal([&] { file.find_integer("f"); }), refusal([&] { file.find_string("f"); }),
                              refusal([&] { file.find_bool("f"); }), refusal([&] { file.find_strings("f"); })}) {
    EXPECT_THAT(message, AllOf(HasSubstr("x.gguf"), HasSubstr("'f'")));
  }
  EXPECT_THAT(refusal([&] { file.find_string("strings"); }), HasSubstr("'strings' must not be an array"));
  EXPECT_THAT(refusal([&] { file.find_integers("strings"); }), HasSubstr("'strings'"));
  EXPECT_THAT(refusal([&] { file.find_integer("huge"); }), HasSubstr("'huge'"));
}

TEST_F(GgufTest, TensorsHaveTheirShapesAndValues) {
  for (const uint32_t alignment : {8, 32, 4096}) {
    GgufBuilder builder;
    builder.set_alignment(alignment).add_tensor(tensor("first", 1));
    builder.add_tensor({.name = "matrix", .sizes = {3, 2}, .data = floats({1, 2, 3, 4, 5, 6})});
    const GgufFile file(write(builder));
    ASSERT_EQ(file.tensors().size(), 2u);
    const at::Tensor matrix = file.find_tensor("matrix")->load(at::kFloat);
    EXPECT_EQ(matrix.sizes(), at::IntArrayRef({2, 3}));
    EXPECT_EQ(matrix[1][0].item<float>(), 4);
    EXPECT_EQ(file.find_tensor("first")->load(at::kFloat)[1].item<float>(), 2);
    EXPECT_EQ(file.find_tensor("second"), nullptr);
  }
}

TEST_F(GgufTest, RefusesTheFileCutAtAnyByte) {
  GgufBuilder builder;
  builder.add("key", "text").add("strings", std::vector<std::string>{"a", "b"}).add("n", uint32_t{1});
  builder.add_tensor(tensor("one")).add_tensor(tensor("two"));
  const std::string bytes = builder.build();
  for (size_t length = 0; length < bytes.size(); ++length) {
    const auto path = folder_.write("cut.gguf", std::string_view(bytes).substr(0, length));
    ASSERT_THAT(refusal([&] { GgufFile file(path); }), HasSubstr("cut.gguf: ")) << length;
  }
  EXPECT_EQ(refusal([&] { GgufFile file(folder_.write("cut.gguf", bytes)); }), "accepted");
}

TEST_F(GgufTest, RefusesWhatIsNotGgufVersion3) {
  EXPECT_THAT(refusal([&] { GgufFile file(folder_.write("x.gguf", "PK\3\4 and so on")); }),
              HasSubstr("not a GGUF file"));
  EXPECT_THAT(refusal_of(GgufBuilder().set_version(1)), HasSubstr("version 1"));
  EXPECT_THAT(refusal_of(GgufBuilder().set_version(0x03000000)), HasSubstr("big-endian"));
  EXPECT_THAT(refusal([&] { GgufFile file(folder_ / "absent.gguf"); }), HasSubstr("absent.gguf: cannot be read"));
  EXPECT_THAT(refusal([&] { GgufFile file(folder_.path()); }), HasSubstr("not a regular file"));
}

TEST_F(GgufTest, RefusesCountsThatTheFileCannotHold) {
  std::string bytes = GgufBuilder().add_tensor(tensor("t")).build();
  bytes[8 + 7] = 0x10;  // 2^60 tensors
  EXPECT_THAT(refusal([&] { GgufFile file(folder_.write("x.gguf", bytes)); }), HasSubstr("number of tensors"));
  bytes = GgufBuilder().add("key", "text").build();
  bytes[16 + 7] = 0x10;  // 2^60 values
  EXPECT_THAT(refusal([&] { GgufFile file(folder_.write("x.gguf", bytes)); }), HasSubstr("number of metadata values"));
  const std::string huge_array = std::string("\x04\0\0\0", 4) + std::string(7, '\0') + '\x10';  // 2^60 uint32
  EXPECT_THAT(refusal_of(GgufBuilder().add_raw("array", 9, huge_array)), HasSubstr("'array'"));
  const std::string huge_string = std::string(7, '\xFF') + '\x7F';
  EXPECT_THAT(refusal_of(GgufBuilder().add_raw("string", 8, huge_string)), HasSubstr("'string'"));
}

TEST_F(GgufTest, RefusesUnknownValueTypes) {
  EXPECT_THAT(refusal_of(GgufBuilder().add_raw("key", 13, "")), HasSubstr("'key' has unknown type 13"));
  const std::string nested = std::string("\x09\0\0\0", 4) + std::string(8, '\0');
  EXPECT_THAT(refusal_of(GgufBuilder().add_raw("key", 9, nested)), HasSubstr("'key' is an array of arrays"));
}

TEST_F(GgufTest, RefusesTensorsPastTheEnd) {
  GgufTensorSpec spec = tensor("t");
  spec.offset = 1 << 20;
  EXPECT_THAT(refusal_of(spec), AllOf(HasSubstr("x.gguf: tensor 't'"), HasSubstr("incomplete download?")));
  spec.offset = std::numeric_limits<uint64_t>::max() - 31;
  EXPECT_THAT(refusal_of(spec), HasSubstr("tensor 't'"));
  spec = tensor("t");
  spec.sizes = {4};
  EXPECT_THAT(refusal_of(spec), HasSubstr("tensor 't' has 16 bytes"));
}

TEST_F(GgufTest, RefusesOverlapsAndHoles) {
  for (const uint64_t offset : {0, 16, 64, 4096}) {
    GgufTensorSpec second = tensor("second");
    second.offset = offset;
    second.data.resize(8192);
    second.sizes = {2};
    EXPECT_THAT(refusal_of(GgufBuilder().add_tensor(tensor("first")).add_tensor(second)),
                HasSubstr("overlap or leave a hole"))
        << offset;
  }
}

TEST_F(GgufTest, RefusesImpossibleShapes) {
  GgufTensorSpec spec = tensor("t");
  const uint64_t k30 = uint64_t{1} << 30;
  for (const std::vector<uint64_t>& sizes : std::vector<std::vector<uint64_t>>{
           {uint64_t{1} << 60}, {k30, k30, k30}, {k30, k30, 8}, {0}, {~uint64_t{0}}, {2, 1, 1, 1, 1}, {}}) {
    spec.sizes = sizes;
    EXPECT_THAT(refusal_of(spec), HasSubstr("x.gguf: tensor 't'")) << testing::PrintToString(sizes);
  }
  spec.sizes = {33};
  spec.type = static_cast<uint32_t>(GgmlType::kQ8_0);
  EXPECT_THAT(refusal_of(spec), HasSubstr("no whole Q8_0 blocks"));
}

TEST_F(GgufTest, RefusesUnknownElementTypes) {
  GgufTensorSpec spec = tensor("t");
  for (const uint32_t type : {4u, 16u, 31u, 0xFFFFFFFFu}) {
    spec.type = type;
    EXPECT_THAT(refusal_of(spec), HasSubstr("tensor 't' has element type " + std::to_string(type)));
  }
}

TEST_F(GgufTest, RefusesDuplicates) {
  EXPECT_THAT(refusal_of(GgufBuilder().add_tensor(tensor("t")).add_tensor(tensor("t"))),
              HasSubstr("tensor 't' occurs twice"));
  EXPECT_THAT(refusal_of(GgufBuilder().add("k", true).add("k", false)), HasSubstr("metadata 'k' occurs twice"));
}

TEST_F(GgufTest, RefusesNamesThatAreNotText) {
  for (const char* name :
       {"", "bad\xFFname", "\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "cut\xE2\x82", "line\nbreak"}) {
    EXPECT_THAT(refusal_of(tensor(name)), HasSubstr("a tensor's name at byte 24 is not a name in UTF-8"));
    EXPECT_THAT(refusal_of(GgufBuilder().add(name, true)),
                HasSubstr("a metadata key at byte 24 is not a name in UTF-8"));
  }
  EXPECT_EQ(refusal_of(tensor("größe.重み.𝒲")), "accepted");
}

TEST_F(GgufTest, RefusesAlignmentsThatAreNoPowerOfTwo) {
  for (const uint32_t alignment : {0u, 3u, 48u}) {
    EXPECT_THAT(refusal_of(GgufBuilder().add("general.alignment", alignment).add_tensor(tensor("t"))),
                HasSubstr("'general.alignment' is " + std::to_string(alignment)));
  }
  EXPECT_THAT(refusal_of(GgufBuilder().add("general.alignment", "32")),
              HasSubstr("'general.alignment' must be uint32"));
}

class SplitGgufTest : public GgufTest {
 protected:
  std::filesystem::path write_part(int number, int count, const GgufTensorSpec& spec, const char* stem = "m") const {
    GgufBuilder builder;
    builder.add("split.no", static_cast<uint32_t>(number - 1)).add("split.count", static_cast<uint32_t>(count));
    builder.add("split.tensors.count", int32_t{count}).add_tensor(spec);
    return folder_.write(stem + ("-0000" + std::to_string(number)) + "-of-0000" + std::to_string(count) + ".gguf",
                         builder.build());
  }
};

TEST_F(SplitGgufTest, FirstPartOpensTheWholeSet) {
  const auto first = write_part(1, 3, tensor("a", 1));
  write_part(2, 3, tensor("b", 2));
  write_part(3, 3, tensor("c", 3));
  const GgufFile file(first);
  EXPECT_EQ(file.tensors().size(), 3u);
  EXPECT_EQ(file.find_tensor("c")->load(at::kFloat)[0].item<float>(), 3);
}

TEST_F(SplitGgufTest, RefusesASetThatIsNotWhole) {
  const auto first = write_part(1, 2, tensor("a"));
  EXPECT_THAT(refusal([&] { GgufFile file(first); }), HasSubstr("m-00002-of-00002.gguf: cannot be read"));
  const auto second = write_part(2, 2, tensor("a"));
  EXPECT_THAT(refusal([&] { GgufFile file(first); }), HasSubstr("tensor 'a' is also in an earlier file"));
  EXPECT_THAT(refusal([&] { GgufFile file(second); }), HasSubstr("give the first"));
  const auto renamed = folder_ / "renamed.gguf";
  std::filesystem::rename(first, renamed);
  EXPECT_THAT(refusal([&] { GgufFile file(renamed); }), HasSubstr("give the first"));
}

TEST_F(SplitGgufTest, RefusesAnotherNumberOfTensorsThanSaid) {
  GgufBuilder builder;
  builder.add("split.count", uint32_t{2}).add("split.tensors.count", int32_t{5}).add_tensor(tensor("a"));
  const auto first = folder_.write("m-00001-of-00002.gguf", builder.build());
  write_part(2, 2, tensor("b"));
  EXPECT_THAT(refusal([&] { GgufFile file(first); }), HasSubstr("split.tensors.count' is 5 but the files hold 2"));
}

}  // namespace
}  // namespace moebench
