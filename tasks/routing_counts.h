// Which experts a text really visits: what expert_load, routing_overlap and the measured activated parameters are made
// of.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "harness/model/llama.h"
#include "harness/model/moe_layer.h"
#include "harness/task.h"

namespace moebench {

// What text is routed: the options of every task that counts visits.
struct RoutedTextOptions {
  std::string text = "wiki-passages-test";
  int64_t window = 2048;
  int64_t max_windows = 8;
  void for_each(auto&& visit) {
    visit("text", text, "what is routed: a file, or the name of a known text");
    visit("window", window, "tokens of a window");
    visit("max_windows", max_windows, "only the first so many windows; 0 = all");
  }
};

// The mixture in layer's feed-forward slot, or null if it is dense. Owned by the layer.
const MoeLayer* moe_layer(const LlamaLayer& layer);

// What of the text was run. Counts are of tokens.
struct RoutedText {
  int64_t text_tokens = 0;  // of the whole text
  int64_t tokens = 0;       // of the windows that were run; 0 for a model without routed experts, which is not run
};

// One mixture's layer, input [T, D] and routing, once a window.
using LayerRoutingObserver = std::function<void(size_t layer, const at::Tensor& hidden, const Routing&)>;

// Runs the first windows of the text (side by side, as the GPTQ protocol cuts it) through the model. Leaves no observer
// behind, whatever is thrown. Throws std::invalid_argument if the text is shorter than a window.
RoutedText observe_text(const TaskContext& context, const RoutedTextOptions& options,
                        const LayerRoutingObserver& observer);

struct RoutingCounts : RoutedText {
  std::vector<std::vector<int64_t>> visits;  // [num_layers][E]; an empty row for a layer without routed experts
};

RoutingCounts count_visits(const TaskContext& context, const RoutedTextOptions& options);

}  // namespace moebench
