// Tasks of lm-evaluation-harness, with its numbers (version 0.4.13) and an item for each document.
#include <algorithm>
#include <numeric>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "harness/content_hash.h"
#include "harness/scoring/downstream_tasks.h"
#include "harness/task.h"
#include "tasks/lm_eval_measurement.h"

namespace moebench {
namespace {

struct LmEvalOptions {
  std::string tasks = "quick";
  int64_t num_fewshot = -1;
  int64_t limit = 0;
  int64_t max_length = 0;
  std::string compat = kDefaultEncodingProfile;
  std::string include_path;
  void for_each(auto&& visit) {
    visit("tasks", tasks, "tasks, groups, suites or patterns of lm-evaluation-harness's, separated by commas");
    visit("num_fewshot", num_fewshot, "examples before each document; -1 = the task's own number");
    visit("limit", limit, "only the first so many documents of each task; 0 = all");
    visit("max_length", max_length, "tokens that are fed at most; 0 = the model's positions");
    visit("compat", compat, "the version of lm-eval as which requests are encoded", encoding_profile_names());
    visit("include_path", include_path, "a folder with task files of your own, as lm-eval's");
  }
};

std::vector<std::string> names_in(const std::string& list) {
  std::vector<std::string> names;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    const size_t first = list.find_first_not_of(' ', begin), last = list.find_last_not_of(' ', end - 1);
    if (first >= end) throw std::invalid_argument("lm_eval: option 'tasks' must be names separated by commas");
    names.push_back(list.substr(first, last + 1 - first));
    begin = end + 1;
  }
  return names;
}

void check_at_least(const std::string& option, int64_t value, int64_t least) {
  if (value >= least) return;
  throw std::invalid_argument("lm_eval: option '" + option + "' must be " + std::to_string(least) + " or more, not " +
                              std::to_string(value));
}

class LmEval : public Task {
 public:
  explicit LmEval(const LmEvalOptions& options) : max_length_(options.max_length), compat_(options.compat) {
    check_at_least("num_fewshot", options.num_fewshot, -1);
    check_at_least("limit", options.limit, 0);
    check_at_least("max_length", options.max_length, 0);
    choice_.tasks = names_in(options.tasks);
    choice_.include_path = options.include_path;
    if (options.num_fewshot >= 0) choice_.num_fewshot = options.num_fewshot;
    if (options.limit > 0) choice_.limit = options.limit;
    chosen_ = select_downstream_tasks(choice_, {});
  }

  // Of what the task files say, too: a user may change them. All documents are built once, so that one that is wrong is
  // found before a model is loaded.
  std::string data_hash() const override {
    const TaskSelection& selection = chosen_.selection;
    const std::vector<TaskDocuments> documents = build_documents(selection, choice_);
    nlohmann::ordered_json read = nlohmann::ordered_json::array();
    for (size_t task = 0; task < documents.size(); ++task) {
      const TaskDocuments& built = documents[task];
      read.push_back({selection.tasks[task].config, built.data_hash, built.num_available, built.documents.size()});
    }
    for (const TaskGroup& group : selection.groups) {
      read.push_back({group.name, group.members, group.aggregate_metric_list});
    }
    const std::string text = read.dump();
    return content_hash(std::string_view(text));
  }

  Measurement measure(TaskContext& context) const override {
    std::vector<TaskDocuments> documents = build_documents(chosen_.selection, choice_);
    const double total =
        std::accumulate(documents.begin(), documents.end(), 0.0,
                        [](double sum, const TaskDocuments& of_task) { return sum + amount_of(of_task); });
    std::vector<ScoredTask> scored;
    double done = 0;
    for (size_t task = 0; task < documents.size(); ++task) {
      const double amount = amount_of(documents[task]);
      scored.push_back(evaluate(context, task, std::move(documents[task]), [&](double fraction) {
        if (context.progress) context.progress(done + fraction * amount, total);
      }));
      done += amount;
    }
    return lm_eval_measurement(scored, chosen_.selection.groups,
                               compat_ == kDefaultEncodingProfile ? "" : "lm-eval-" + compat_);
  }

 private:
  static double amount_of(const TaskDocuments& documents) { return static_cast<double>(documents.documents.size()); }

  ScoredTask evaluate(const TaskContext& context, size_t task, TaskDocuments documents,
                      const std::function<void(double fraction)>& progress) const try {
    const TaskDefinition& definition = chosen_.selection.tasks[task];
    TaskEvaluation evaluation =
        evaluate_task(context.model, context.tokenizer, definition, documents,
                      {.max_length = max_length_, .profile = encoding_profile(compat_), .progress = progress});
    return {.output_type = definition.output_type,
            .own_fewshot = chosen_.own_fewshot[task],
            .documents = std::move(documents),
            .responses = std::move(evaluation.answers.responses),
            .score = std::move(evaluation.score)};
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument("lm_eval of " + chosen_.selection.tasks[task].task + ": " + error.what());
  }

  int64_t max_length_;
  std::string compat_;
  DownstreamChoice choice_;
  DownstreamTasks chosen_;
};

const Registration<Task, LmEval, LmEvalOptions> registration(
    "lm_eval",
    "tasks of lm-evaluation-harness with the numbers of its version 0.4.13, each document kept as an item; "
    "scripts/fetch tasks fetches their data");

}  // namespace
}  // namespace moebench
