#include "harness/pipeline/sweep_run.h"

#include <map>
#include <sstream>

#include "tests/pipeline/sweep_fixture.h"

namespace moebench {
namespace {

// Opens, and has no tensor when asked for one.
class UnloadableCheckpoint : public Checkpoint {
 public:
  explicit UnloadableCheckpoint(const Checkpoint& checkpoint) {
    config_ = checkpoint.config();
    path_ = checkpoint.path();
  }
  std::vector<std::string> names() const override { return {}; }
  bool contains(const std::string&) const override { return false; }
  at::Tensor load(const std::string& name, at::ScalarType) const override {
    throw std::runtime_error(name + " is missing");
  }
  std::string content_hash() const override { return ""; }
};

using SweepRunTest = SweepFixture;

TEST_F(SweepRunTest, AModelThatCannotBeLoadedFailsItsCellsAndTheNextIsMeasured) {
  write_sweep("");
  SweepSpec spec = read_sweep_spec(sweep_path());
  spec.models.push_back(spec.models.front());
  spec.models.back().dtype = "bfloat16";
  SweepPlan plan = plan_sweep(spec);
  plan.models[0].checkpoint = std::make_unique<UnloadableCheckpoint>(*plan.models[0].checkpoint);

  ArtifactFolder artifacts(folder_ / "tiny.sqlite");
  ResultStore store(folder_ / "tiny.sqlite", ResultStore::Mode::kReadWrite);
  std::ostringstream log;
  SweepProgress progress(log, false, [] { return 0.0; });
  const SweepOutcome outcome = run_sweep(plan, store, artifacts, progress);
  EXPECT_EQ(outcome.failed, 1);
  EXPECT_EQ(outcome.computed, 1);
  std::map<std::string, std::string> errors;
  for (const RunRecord& run : store.runs()) errors[run.config["dtype"].get<std::string>()] = run.error;
  EXPECT_EQ(errors["float32"], "model.embed_tokens.weight is missing");
  EXPECT_EQ(errors["bfloat16"], "");
}

}  // namespace
}  // namespace moebench
