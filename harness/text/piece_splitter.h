// The five ways in which a pre-tokenizer treats the matches of its pattern.
#pragma once

#include <functional>
#include <string>

#include "harness/text/pre_tokenizer.h"
#include "harness/text/regex.h"

namespace moebench {

enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

// Throws std::runtime_error naming an unknown behaviour.
SplitBehavior parse_split_behavior(const std::string& name);

// A step that cuts every piece where pattern matches; inverted, what lies between the matches counts as matched.
std::function<void(Pieces&)> split_step(Regex pattern, SplitBehavior behavior, bool invert = false);

}  // namespace moebench
