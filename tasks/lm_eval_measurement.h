// What lm-eval's scores are in our words: metrics named by their protocol, and an item for each document.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/lm_eval/document_builder.h"
#include "harness/lm_eval/task_score.h"
#include "harness/metric.h"

namespace moebench {

// A task as a model answered it.
struct ScoredTask {
  OutputType output_type = OutputType::kMultipleChoice;
  int64_t own_fewshot = 0;  // what the task says of itself
  TaskDocuments documents;
  std::vector<std::vector<Response>> responses;
  TaskScore score;
};

// Metrics are "arc_easy/acc", "arc_easy/25-shot/acc" with shots that are not the task's own, "gsm8k/strict-match/…"
// where an answer was filtered; a group's ("mmlu/acc") stand before those of its tasks. "mixed-shot" are groups whose
// tasks differ in that. protocol: what else a name must say, before the shots; "" if nothing.
//
// Items carry the name of the metric they make: the mean of their `correct`, or what their nll over their tokens gives;
// f1 and Matthews correlation have none. Where a group's value is the mean over all documents of its tasks, the items
// stand there (the outermost group's), as "<task>/<doc_id>"; else with the task, as "<doc_id>". nll is that of the
// right answer, in nats. A cluster's name that is a long text, as a passage is, is replaced by its hash.
Measurement lm_eval_measurement(const std::vector<ScoredTask>& tasks, const std::vector<TaskGroup>& groups,
                                const std::string& protocol = "");

}  // namespace moebench
