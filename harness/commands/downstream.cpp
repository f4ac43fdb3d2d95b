#include "harness/commands/downstream.h"

#include <chrono>
#include <stdexcept>

#include <fmt/format.h>

#include "harness/atomic_file.h"
#include "harness/build_info.h"
#include "harness/interrupt.h"
#include "harness/lm_eval/console_table.h"
#include "harness/lm_eval/results_file.h"
#include "harness/lm_eval/samples_file.h"

namespace moebench {
namespace {

constexpr const char* kLmEvalVersion = "0.4.13";  // whose numbers these are
constexpr const char* kModelSource = "moebench";

constexpr const char* kKind = "lm-eval";  // of progress

double amount_of(const TaskDocuments& documents) { return static_cast<double>(documents.documents.size()); }

template <class Number>
nlohmann::ordered_json or_null(const std::optional<Number>& number) {
  return number ? nlohmann::ordered_json(*number) : nlohmann::ordered_json();
}

std::string model_arguments_text(const ModelArguments& model) {
  std::string text = fmt::format("pretrained={},dtype={}", model.model, model.dtype);
  if (!model.conversion.empty()) text += ",conversion=" + model.conversion;
  if (model.use_oracle_router) text += ",oracle=True";
  return text;
}

std::pair<std::string, int64_t> token_of(const Tokenizer& tokenizer, std::optional<int32_t> id) {
  if (!id) return {"", -1};
  return {tokenizer.decode(std::vector<int32_t>{*id}), *id};
}

nlohmann::ordered_json run_config(const DownstreamArguments& arguments, const ModelArguments& model) {
  return {{"model", kModelSource},
          {"model_args", model_arguments_text(model)},
          {"model_dtype", model.dtype},
          {"batch_size", "auto"},
          {"batch_sizes", nlohmann::ordered_json::array()},
          {"device", model.device},
          {"use_cache", nullptr},
          {"limit", or_null(arguments.limit)},
          {"bootstrap_iters", kBootstrapIterations},
          {"gen_kwargs", nullptr},
          {"random_seed", 0},
          {"numpy_seed", 1234},
          {"torch_seed", 1234},
          {"fewshot_seed", kFewshotSeed},
          {"harness", version_text()}};
}

}  // namespace

Downstream::Downstream(DownstreamArguments arguments, const std::vector<std::string>& other_names)
    : arguments_(std::move(arguments)) {
  if (arguments_.log_samples && arguments_.output_path.empty()) {
    throw std::invalid_argument("--log-samples needs --output-path, the folder to write them to");
  }
  selection_ = select_downstream_tasks(arguments_, other_names).selection;
  documents_ = build_documents(selection_, arguments_);
  for (size_t task = 0; task < documents_.size(); ++task) {
    selection_.tasks[task].config["num_fewshot"] = documents_[task].num_fewshot;
  }
}

nlohmann::ordered_json Downstream::evaluate(const LoadedModel& loaded, const ModelArguments& model,
                                            const nlohmann::ordered_json& moe, SweepProgress& progress) const {
  const auto began = std::chrono::system_clock::now();
  const int64_t max_length = arguments_.max_length.value_or(loaded.model.config().max_position_embeddings);
  std::optional<ResultPaths> paths;
  if (!arguments_.output_path.empty()) paths = result_paths(arguments_.output_path, model.model, began);

  for (const TaskDocuments& documents : documents_) progress.expect(kKind, amount_of(documents));
  nlohmann::ordered_json notes = moe;
  notes["lm_eval_compat"] = arguments_.lm_eval_compat;
  std::vector<EvaluatedTask> evaluated;
  for (size_t task = 0; task < selection_.tasks.size(); ++task) {
    const TaskDefinition& definition = selection_.tasks[task];
    const TaskDocuments& built = documents_[task];
    progress.start(kKind, definition.task, amount_of(built));
    auto [answers, score] = evaluate_task(loaded.model, *loaded.tokenizer, definition, built,
                                          {.max_length = max_length,
                                           .profile = encoding_profile(arguments_.lm_eval_compat),
                                           .progress = [&](double fraction) {
                                             throw_if_interrupted();
                                             progress.update(fraction);
                                           }});
    EvaluatedTask done{.definition = definition,
                       .num_fewshot = built.num_fewshot,
                       .num_available = built.num_available,
                       .score = std::move(score)};
    if (arguments_.log_samples) {
      AtomicFile samples(paths->samples(definition.task));
      done.hash = write_samples(definition, built.documents, answers.responses, done.score,
                                [&](std::string_view line) { samples.write(line); });
      samples.commit();
    }
    evaluated.push_back(std::move(done));
    notes["tasks"][definition.task] = {{"data_hash", built.data_hash},
                                       {"continuations_without_a_token_of_their_own", answers.num_swallowed},
                                       {"truncated_contexts", answers.num_truncated}};
    progress.finish();
  }

  const auto seconds = [](auto duration) { return std::chrono::duration<double>(duration).count(); };
  const Tokenizer& tokenizer = *loaded.tokenizer;
  const auto eos = token_of(tokenizer, tokenizer.eos_id());
  const nlohmann::ordered_json results =
      results_json(evaluated, selection_.groups,
                   {.config = run_config(arguments_, model),
                    .git_hash = build_info().git_commit,
                    .start_date = seconds(began.time_since_epoch()),
                    .environment = version_text() + ", torch " + build_info().torch_version,
                    .lm_eval_version = kLmEvalVersion,
                    .pad_token = eos,
                    .eos_token = eos,
                    .bos_token = token_of(tokenizer, tokenizer.bos_id()),
                    .max_length = max_length,
                    .model_source = kModelSource,
                    .model_name = model.model,
                    .evaluation_seconds = seconds(std::chrono::system_clock::now() - began),
                    .moe = notes});
  if (paths) write_results(paths->results, results);
  return results;
}

std::string Downstream::console_text(const nlohmann::ordered_json& results) const {
  const std::optional<double> limit =
      arguments_.limit ? std::optional(static_cast<double>(*arguments_.limit)) : std::nullopt;
  const std::string header =
      console_header(kModelSource, results.at("config").at("model_args").get<std::string>(), limit,
                     arguments_.num_fewshot, results.at("config").at("batch_size").get<std::string>());
  const std::string groups = console_table(results, TableContent::kGroups);
  const bool is_default = arguments_.lm_eval_compat == kDefaultEncodingProfile;
  const std::string profile = is_default ? "" : "requests encoded as by lm-eval " + arguments_.lm_eval_compat + "\n";
  return header + "\n" + profile + console_table(results, TableContent::kTasks) + (groups.empty() ? "" : "\n" + groups);
}

}  // namespace moebench
