// Small tokenizer.json files of the families that models have, built in memory.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "harness/text/byte_alphabet.h"
#include "harness/text/tokenizer.h"
#include "tests/fixtures/temporary_folder.h"

namespace moebench {

using Merges = std::vector<std::pair<std::string, std::string>>;

inline std::unique_ptr<Tokenizer> load_tokenizer_json(const nlohmann::json& json) {
  const TemporaryFolder folder;
  folder.write("tokenizer.json", json.dump());
  return Tokenizer::load(folder.path());
}

// Adds what each merge makes to the vocabulary, in order, behind what is there.
inline nlohmann::json bpe_model(nlohmann::json vocabulary, const Merges& merges) {
  nlohmann::json pairs = nlohmann::json::array();
  for (const auto& [left, right] : merges) {
    vocabulary.emplace(left + right, vocabulary.size());
    pairs.push_back({left, right});
  }
  return {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", pairs}};
}

inline const Merges kByteLevelMerges = {
    {"Ġ", "t"},  {"h", "e"},   {"Ġt", "he"}, {"i", "n"},   {"in", "g"},  {"1", "2"}, {"12", "3"},
    {"Ġ", "Ġ"},  {"r", "e"},   {"'", "s"},   {"s", "t"},   {"e", "d"},   {"Ã", "©"}, {"Ċ", "Ċ"},
    {"o", "r"},  {"w", "or"},  {"wor", "d"}, {"Ġ", "wor"}, {"Ã", "ī"},   {"l", "l"}, {"Ġ", "1"},
    {"Ġ1", "2"}, {"ĠĠ", "ĠĠ"}, {"re", "d"},  {"!", "!"},   {"Ġwor", "d"}};

// Bytes are ids 0 to 255, then the merges; the last token has no merge that makes it.
inline nlohmann::json byte_level_tokenizer(const nlohmann::json& pre_tokenizer) {
  nlohmann::json vocabulary = nlohmann::json::object();
  for (int byte = 0; byte < 256; ++byte) vocabulary[spell_byte(static_cast<unsigned char>(byte))] = byte;
  nlohmann::json model = bpe_model(vocabulary, kByteLevelMerges);
  model["vocab"]["Ġhello"] = model["vocab"].size();
  return {{"pre_tokenizer", pre_tokenizer}, {"decoder", {{"type", "ByteLevel"}}}, {"model", model}};
}

inline nlohmann::json split_by(const std::string& pattern) {
  return {{"type", "Sequence"},
          {"pretokenizers",
           {{{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}},
            {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
}

inline const Merges kSentencePieceMerges = {{"▁", "t"},   {"h", "e"}, {"▁t", "he"}, {"i", "n"}, {"▁", "▁"},
                                            {"▁▁", "▁▁"}, {"a", "b"}, {"▁", "ab"},  {"e", "r"}, {"▁the", "r"}};

// <unk>, <s>, </s>, 256 bytes, "▁", letters a to t, "é", then the merges.
inline nlohmann::json sentencepiece_tokenizer() {
  nlohmann::json vocabulary = {{"<unk>", 0}, {"<s>", 1}, {"</s>", 2}};
  for (int byte = 0; byte < 256; ++byte) vocabulary[fmt::format("<0x{:02X}>", byte)] = vocabulary.size();
  vocabulary["▁"] = vocabulary.size();
  for (char letter = 'a'; letter <= 't'; ++letter) vocabulary[std::string(1, letter)] = vocabulary.size();
  vocabulary["é"] = vocabulary.size();
  nlohmann::json model = bpe_model(vocabulary, kSentencePieceMerges);
  model["unk_token"] = "<unk>";
  model["fuse_unk"] = true;
  model["byte_fallback"] = true;
  nlohmann::json added = nlohmann::json::array();
  for (int id = 0; id < 3; ++id) {
    added.push_back({{"id", id}, {"content", id == 0 ? "<unk>" : id == 1 ? "<s>" : "</s>"}, {"special", true}});
  }
  const nlohmann::json space = {{"String", " "}}, mark = {{"String", "▁"}};
  return {{"model", model},
          {"added_tokens", added},
          {"normalizer",
           {{"type", "Sequence"},
            {"normalizers",
             {{{"type", "Prepend"}, {"prepend", "▁"}}, {{"type", "Replace"}, {"pattern", space}, {"content", "▁"}}}}}},
          {"post_processor",
           {{"type", "TemplateProcessing"},
            {"single",
             {{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}}, {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
            {"pair", nlohmann::json::array({{{"Sequence", {{"id", "A"}, {"type_id", 0}}}}})},
            {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", {1}}, {"tokens", {"<s>"}}}}}}}},
          {"decoder",
           {{"type", "Sequence"},
            {"decoders",
             {{{"type", "Replace"}, {"pattern", mark}, {"content", " "}},
              {{"type", "ByteFallback"}},
              {{"type", "Fuse"}},
              {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}}}};
}

inline nlohmann::json metaspace(const std::string& prepend_scheme, bool split) {
  return {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", prepend_scheme}, {"split", split}};
}

}  // namespace moebench
