// The expected strings are CPython's: python3 -c 'import json; print(json.dumps(...))'.
#include "harness/lm_eval/python_json.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace moebench {
namespace {

using nlohmann::ordered_json;

TEST(PythonJsonTest, KeysKeepTheirOrderAndSeparatorsHaveASpace) {
  EXPECT_EQ(python_json(ordered_json::parse(R"({"b": [1, -2.5, true, null], "a": {}, "c": []})")),
            R"({"b": [1, -2.5, true, null], "a": {}, "c": []})");
}

TEST(PythonJsonTest, IndentedItemsStandOneALine) {
  EXPECT_EQ(python_json(ordered_json::parse(R"({"b": [1, [2]], "a": {}, "c": []})"), {.indent = 2}),
            "{\n  \"b\": [\n    1,\n    [\n      2\n    ]\n  ],\n  \"a\": {},\n  \"c\": []\n}");
}

TEST(PythonJsonTest, AsciiEscapesEverythingElse) {
  const ordered_json text = std::string("\"\\/\n\r\t\f\b\x01\x7f~é\u2028😀");
  EXPECT_EQ(python_json(text), R"("\"\\/\n\r\t\f\b\u0001\u007f~\u00e9\u2028\ud83d\ude00")");
  EXPECT_EQ(python_json(text, {.ensure_ascii = false}), "\"\\\"\\\\/\\n\\r\\t\\f\\b\\u0001\x7f~é\u2028😀\"");
  EXPECT_EQ(python_json(ordered_json{{"é\n", 1}}), R"({"\u00e9\n": 1})");
}

TEST(PythonJsonTest, FloatsArePythonsRepr) {
  EXPECT_EQ(python_json(ordered_json{1.0, 0.1, -0.0, 1e-4, 9.999e-5, 1e15, 1e16, 1.5e300, 5e-324, 0.2474747474747475}),
            "[1.0, 0.1, -0.0, 0.0001, 9.999e-05, 1000000000000000.0, 1e+16, 1.5e+300, 5e-324, 0.2474747474747475]");
  EXPECT_EQ(python_json(ordered_json{9999999999999998.0, 123456789012345680.0, 1e22, 1e-7, 123456.789}),
            "[9999999999999998.0, 1.2345678901234568e+17, 1e+22, 1e-07, 123456.789]");
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(python_json(ordered_json{infinity, -infinity, std::nan("")}), "[Infinity, -Infinity, NaN]");
  EXPECT_EQ(python_repr(-infinity), "-inf");
  EXPECT_EQ(python_repr(std::nan("")), "nan");
}

TEST(PythonJsonTest, EveryFloatReadsBackAsItself) {
  std::mt19937_64 random(1);
  for (int draw = 0; draw < 10000; ++draw) {
    const auto value = std::bit_cast<double>(random());
    const std::string text = python_repr(value);
    double read_back = 0;
    std::from_chars(text.data(), text.data() + text.size(), read_back);
    if (std::isfinite(value)) {
      EXPECT_EQ(read_back, value) << text;
    }
  }
}

TEST(PythonJsonTest, IntegersOf64BitsAreWhole) {
  EXPECT_EQ(python_json(ordered_json{INT64_MIN, UINT64_MAX}), "[-9223372036854775808, 18446744073709551615]");
}

TEST(PythonJsonTest, BytesThatAreNotUtf8AreRefused) {
  EXPECT_THROW(python_json(ordered_json(std::string("a\xff"))), std::invalid_argument);
}

TEST(PythonJsonTest, NestingIsBounded) {
  const auto nested = [](size_t depth) {
    return ordered_json::parse(std::string(depth, '[') + std::string(depth, ']'));
  };
  EXPECT_EQ(python_json(nested(900)).size(), 1800u);
  EXPECT_THROW(python_json(nested(100000)), std::invalid_argument);
}

// hashlib.sha256(json.dumps({"question": "Où?", "choices": ["a", "b"]}, indent=2, ensure_ascii=False).encode())
TEST(PythonJsonTest, ADocumentsHashIsOfItsIndentedText) {
  EXPECT_EQ(document_hash(ordered_json::parse(R"({"question": "Où?", "choices": ["a", "b"]})")),
            "cf510b1fb587f00f379dccba234766589210d6cd87cde95664b414043a42bc88");
}

}  // namespace
}  // namespace moebench
