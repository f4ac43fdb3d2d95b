// Points of a sweep file: matrices, what goes side by side, what is left out, files that include files.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/pipeline/sweep_spec.h"
#include "tests/fixtures/temporary_folder.h"

namespace moebench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kHead = "name = \"x\"\n[model]\npath = \"m\"\n";
constexpr const char* kTail = "[[tasks]]\nname = \"t\"\n[[tasks]]\nname = \"u\"\n";

class SweepPointsTest : public testing::Test {
 protected:
  SweepSpec read(const std::string& middle, const std::vector<std::string>& settings = {}) {
    return read_sweep_spec(folder_.write("x.toml", kHead + middle + kTail).string(), settings);
  }

  std::string refusal(const std::string& middle, const std::vector<std::string>& settings = {}) {
    try {
      read(middle, settings);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "accepted";
  }

  static std::vector<std::string> options_of(const SweepSpec& spec) {
    std::vector<std::string> options;
    for (const MethodSpec& method : spec.methods) options.push_back(method.options.dump());
    return options;
  }

  TemporaryFolder folder_;
};

TEST_F(SweepPointsTest, AMatrixIsEveryValueWithEveryOther) {
  const SweepSpec spec = read(
      "[[methods]]\nname = \"a\"\nshapes = [\"S1\"]\noptions = { z = 0 }\n"
      "[methods.matrix]\nx = [1, 2]\ny = [\"p\", \"q\", \"r\"]\n");
  EXPECT_THAT(options_of(spec),
              ElementsAre(R"({"x":1,"y":"p","z":0})", R"({"x":1,"y":"q","z":0})", R"({"x":1,"y":"r","z":0})",
                          R"({"x":2,"y":"p","z":0})", R"({"x":2,"y":"q","z":0})", R"({"x":2,"y":"r","z":0})"));
}

TEST_F(SweepPointsTest, ZippedListsGoSideBySide) {
  const SweepSpec spec = read(
      "[[methods]]\nname = \"a\"\nactive_ratios = [0.25, 0.5]\nzip = [\"x\", \"active_ratios\"]\n"
      "[methods.matrix]\nx = [1, 2]\n\"adjust.y\" = [true, false]\n");
  ASSERT_EQ(spec.methods.size(), 4u);
  EXPECT_THAT(options_of(spec), ElementsAre(R"({"x":1})", R"({"x":1})", R"({"x":2})", R"({"x":2})"));
  EXPECT_THAT(spec.methods[0].active_ratios, ElementsAre(0.25));
  EXPECT_THAT(spec.methods[3].active_ratios, ElementsAre(0.5));
  EXPECT_EQ(spec.methods[1].adjust, nlohmann::json({{"y", false}}));
}

TEST_F(SweepPointsTest, WrongMatricesAreRefused) {
  const auto refused = [&](const std::string& more) {
    return refusal("[[methods]]\nname = \"a\"\nactive_ratios = [0.25, 0.5]\noptions = { z = 0 }\n" + more);
  };
  EXPECT_THAT(refused("matrix = { x = 1 }\n"), HasSubstr("x.toml:8: methods[0].matrix must list values of 'x'"));
  EXPECT_THAT(refused("matrix = { x = [] }\n"), HasSubstr("must list values of 'x', one at least"));
  EXPECT_THAT(refused("matrix = { z = [1] }\n"), HasSubstr("lists 'z', which is set for all points, too"));
  for (const char* name : {"active_ratios", "shapes", "seeds"}) {
    EXPECT_THAT(refused("matrix = { " + std::string(name) + " = [true] }\n"), HasSubstr("a list of the method itself"));
  }
  EXPECT_THAT(refused("zip = [\"y\"]\n"), HasSubstr("zip names 'y'"));
  EXPECT_THAT(refused("zip = [\"x\", \"active_ratios\"]\nmatrix = { x = [1, 2, 3] }\n"),
              HasSubstr("zip pairs 3 values of x with 2 of active_ratios"));
  std::string list = "[0";
  for (int i = 1; i < 400; ++i) list += "," + std::to_string(i);
  EXPECT_THAT(refused("matrix = { x = " + list + "], y = " + list + "] }\n"), HasSubstr("more than 100000 points"));
}

TEST_F(SweepPointsTest, AnExcludeHoldsWhereAllItsConditionsDo) {
  const SweepSpec spec = read(
      "[[exclude]]\nmethod = [\"a\", \"b\"]\nactive_ratio = 0.25\n"
      "[[exclude]]\noptions = { x = 1 }\ntask = \"t\"\n");
  ASSERT_EQ(spec.excludes.size(), 2u);
  EXPECT_THAT(spec.excludes[1].location, HasSubstr("x.toml:7"));
  EXPECT_TRUE(spec.excludes[0].leaves_out({{"method", "b"}, {"active_ratio", {0.2, 0.25}}, {"seed", 3}}));
  EXPECT_FALSE(spec.excludes[0].leaves_out({{"method", "c"}, {"active_ratio", {0.25}}}));
  EXPECT_FALSE(spec.excludes[0].leaves_out({{"method", "a"}}));
  const nlohmann::json conversion = {{"method", "a"}, {"options", {{"x", 1}, {"y", 2}}}};
  nlohmann::json measurement = conversion;
  measurement["task"] = "t";
  EXPECT_FALSE(spec.excludes[1].leaves_out(conversion)) << "a conversion has no task";
  EXPECT_TRUE(spec.excludes[1].leaves_out(measurement));
}

TEST_F(SweepPointsTest, WrongExcludesAreRefused) {
  EXPECT_THAT(refusal("[[exclude]]\nmethd = \"a\"\n"), HasSubstr("did you mean 'exclude[0].method'?"));
  EXPECT_THAT(refusal("[[exclude]]\nseed = \"a\"\n"), HasSubstr("exclude[0].seed must be a whole number"));
  EXPECT_THAT(refusal("[[exclude]]\nmethod = 3\n"), HasSubstr("must be a text"));
  EXPECT_THAT(refusal("[[exclude]]\n"), HasSubstr("without any condition everything is left out"));
}

TEST_F(SweepPointsTest, IncludedPointsAreMethodsThatNoExcludeHoldsFor) {
  const SweepSpec spec = read(
      "[[methods]]\nname = \"a\"\nshapes = [\"S1\"]\n[[include]]\nname = \"a\"\nshapes = [\"S2\"]\n"
      "[[exclude]]\nmethod = \"a\"\n");
  ASSERT_EQ(spec.methods.size(), 2u);
  EXPECT_FALSE(spec.methods[0].is_included);
  EXPECT_TRUE(spec.methods[1].is_included);
}

TEST_F(SweepPointsTest, AFileStandsOverThoseThatItIncludes) {
  folder_.write("base.toml",
                "name = \"base\"\nseeds = [5]\n[model]\npath = \"m\"\ndtype = \"bfloat16\"\n"
                "[[methods]]\nname = \"a\"\nshapes = [\"S1\"]\n[[tasks]]\nname = \"t\"\n");
  const std::string file = folder_
                               .write("top.toml",
                                      "include = [\"base.toml\"]\nname = \"top\"\n[model]\npath = \"n\"\n"
                                      "[[methods]]\nname = \"b\"\nshapes = [\"S2\"]\n")
                               .string();
  const SweepSpec spec = read_sweep_spec(file);
  EXPECT_EQ(spec.name, "top");
  EXPECT_THAT(spec.seeds, ElementsAre(5));
  EXPECT_EQ(spec.models[0].path, "n");
  EXPECT_EQ(spec.models[0].dtype, "bfloat16");
  ASSERT_EQ(spec.methods.size(), 2u);
  EXPECT_EQ(spec.methods[0].name, "a");
  EXPECT_THAT(spec.methods[0].location, testing::EndsWith("base.toml:6")) << "messages name the file it stands in";
  EXPECT_THAT(spec.methods[1].location, testing::EndsWith("top.toml:5"));
}

TEST_F(SweepPointsTest, ACycleOfIncludesIsRefused) {
  folder_.write("a.toml", "include = [\"b.toml\"]\n");
  const std::string b = folder_.write("b.toml", "include = [\"a.toml\"]\n").string();
  EXPECT_THAT([&] { read_sweep_spec(b); },
              testing::ThrowsMessage<std::invalid_argument>(HasSubstr("b.toml: includes itself, by way of")));
}

TEST_F(SweepPointsTest, IncludesThatMultiplyAreRefused) {
  folder_.write("0.toml", "name = \"x\"\n");
  for (int i = 1; i < 30; ++i) {
    const std::string before = std::to_string(i - 1);
    folder_.write(std::to_string(i) + ".toml", "include = [\"" + before + ".toml\", \"" + before + ".toml\"]\n");
  }
  EXPECT_THAT([&] { read_sweep_spec((folder_ / "29.toml").string()); },
              testing::ThrowsMessage<std::invalid_argument>(HasSubstr("more than 100 files")));
}

TEST_F(SweepPointsTest, ASettingInPlaceOfAListIsAList) {
  const std::string methods = "[[methods]]\nname = \"a\"\nactive_ratios = [0.5]\noptions = { tasks = \"p\" }\n";
  const SweepSpec spec =
      read(methods, {"methods.a.active_ratios=0.25,0.75", "methods.a.options.tasks=p,q", "methods.a.seeds=[1,2]"});
  EXPECT_THAT(spec.methods[0].active_ratios, ElementsAre(0.25, 0.75));
  EXPECT_EQ(spec.methods[0].options["tasks"], "p,q") << "where a text was, it stays one";
  EXPECT_THAT(spec.methods[0].seeds, ElementsAre(1, 2));
  EXPECT_THAT(read(methods, {"methods.a.active_ratios=0.25"}).methods[0].active_ratios, ElementsAre(0.25));
  EXPECT_THAT(read("[calibration]\ntexts = [\"w\"]\n", {"calibration.texts=u,v"}).calibration->texts,
              ElementsAre("u", "v"));
}

TEST_F(SweepPointsTest, MethodsAndTasksAreChosenByName) {
  std::string methods;
  for (const char* name : {"a", "b", "c", "a"}) {
    methods += "[[methods]]\nname = \"" + std::string(name) + "\"\nshapes = [\"S1\"]\n";
  }
  const SweepSpec spec = read(methods, {"method=a,c", "task=u"});
  ASSERT_EQ(spec.methods.size(), 3u);
  EXPECT_EQ(spec.methods[1].name, "c");
  ASSERT_EQ(spec.tasks.size(), 1u);
  EXPECT_EQ(spec.tasks[0].name, "u");
  EXPECT_THAT(refusal(methods, {"method=a,bc"}), HasSubstr("--set method=a,bc: unknown method 'bc'"));
}

}  // namespace
}  // namespace moebench
