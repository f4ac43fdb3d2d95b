#include "harness/commands/commands.h"

namespace moebench {

const std::vector<Command>& commands() {
  static const std::vector<Command> table = {
      {"run", "a sweep: whatever is missing, then the comparison table", define_run},
      {"plan", "the cells of a sweep and their state, nothing executed", define_plan},
      {"slurm", "a sweep as a job array of a cluster", define_slurm},
      {"status", "how far a sweep is, and what its processes are at", define_status},
      {"report", "tables and figures of a database: for a terminal, a page, a paper, a program", define_report},
      {"compare", "two rows of a database on the same items: differences, intervals, tests", define_compare},
      {"nightly", "a sweep measured again: did anything get worse since an earlier night?", define_nightly},
      {"baseline", "names for nights that later ones are compared with", define_baseline},
      {"bisect", "good or bad, for `git bisect run`: one metric of a sweep", define_bisect},
      {"db", "check, merge, export and migrate results databases", define_db},
      {"convert", "make one conversion of a model", define_convert},
      {"retrain", "train a conversion briefly on a text, resumable", define_retrain},
      {"eval", "measure a model, dense or converted", define_eval},
      {"score", "log-probabilities of continuations, from JSON lines", define_score},
      {"generate", "greedy text, to see that a model speaks", define_generate},
      {"tokenize", "token ids of texts, from JSON lines", define_tokenize},
      {"latency", "is a mixture's feed-forward network faster than the dense one?", define_latency},
      {"inspect", "what a checkpoint, a conversion or a database holds", define_inspect},
      {"methods", "the conversion methods, with their options", define_methods},
      {"tasks", "the measurements, with their options", define_tasks},
  };
  return table;
}

}  // namespace moebench
