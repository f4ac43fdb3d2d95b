// How to make a number again, without its database: the commands that do what a sweep did for a run.
#pragma once

#include <string>

#include "results/result_store.h"

namespace moebench {

// The files that the commands of one row hand to each other.
constexpr const char* kConversionFile = "conversion.safetensors";

// Of a run of stage convert, retrain or measure the one command that does the same: "moebench convert --model …". Every
// option that is not its default is spelled out, a task's all. "" for a run whose config says too little. --data and
// --device are the user's.
std::string command_of(const RunRecord& run);

}  // namespace moebench
