// Counts of a model's feed-forward networks as they stand, dense or converted.
#pragma once

#include "harness/model/llama.h"
#include "harness/model/parameter_count.h"
#include "harness/task.h"

namespace moebench {

FeedForwardCounts feed_forward_counts(const LlamaLayer& layer, const LlamaConfig& config);

// What a token visits by the conversion's word: top_k experts, or the mean of an adaptive rule on the text that chose
// its level. None for a layer without routed experts.
ExpertVisits stated_visits(const TaskContext& context, size_t layer);

// Of all layers: what a token uses over what it uses of the dense parent, routers and biases counted.
double active_feed_forward_ratio(const TaskContext& context);

}  // namespace moebench
