#include "results/published_numbers.h"

#include <array>

namespace moebench {
namespace {

constexpr const char* kCmoe = "CMoE paper, arXiv 2502.04416, main table";
constexpr const char* kCmoeFigure = "CMoE paper, arXiv 2502.04416, figure of sparsity";
constexpr const char* kReplication = "independent replication, github.com/Tkino117/cmoe-improve, reports";
constexpr const char* kLlamaMoe = "README of github.com/pjlab-sys4nlp/llama-moe";
constexpr const char* kDive = "DIVE paper, arXiv 2506.09351, by way of papernotes.org";
constexpr const char* kExpertWeaver = "ExpertWeaver paper, arXiv 2602.15521";

constexpr const char* kWikitext = "WikiText-2 perplexity";
constexpr const char* kC4 = "C4 perplexity";
constexpr const char* kLambada = "LAMBADA perplexity";
constexpr const char* kWindows = "windows of 2048";
constexpr const char* kUnknown = "not said";
constexpr const char* kFiveTasks = "PIQA 0, WinoGrande 5, ARC-E, ARC-C 25, HellaSwag 10 shots";
constexpr const char* kElevenTasks = "11 tasks";

constexpr auto kNumbers = std::to_array<PublishedNumber>({
    {"LLaMA-2-7B", "dense", "", "0", kWikitext, "5.472", kWindows, kReplication},
    {"LLaMA-2-7B", "dense", "", "0", kC4, "7.27", kWindows, kReplication},
    {"LLaMA-2-7B", "dense", "", "0", "average accuracy", "68.92", kFiveTasks, kCmoe},
    {"LLaMA-2-7B", "CMoE", "S3A3E8", "0", kWikitext, "7.32", kWindows, kCmoe},
    {"LLaMA-2-7B", "CMoE", "S3A3E8", "0", kC4, "11.98", kWindows, kCmoe},
    {"LLaMA-2-7B", "CMoE", "S3A3E8", "0", "MMLU", "42.50", kUnknown, kCmoe},
    {"LLaMA-2-7B", "CMoE", "S3A3E8", "4 M", kWikitext, "5.92", kWindows, kCmoe},
    {"LLaMA-2-7B", "CMoE", "S3A3E8", "4 M", kC4, "11.21", kWindows, kCmoe},
    {"LLaMA-2-7B", "CMoE", "S3A3E8", "4 M", "MMLU", "44.02", kUnknown, kCmoe},
    {"LLaMA-2-7B", "CMoE", "S3A3E8", "4 M", "average accuracy", "63.38", kFiveTasks, kCmoe},
    {"LLaMA-2-7B", "CMoE", "16 experts, 50 % active", "4 M", kWikitext, "7.71", kWindows, kCmoeFigure},
    {"LLaMA-2-7B", "CMoE", "16 experts, 25 % active", "4 M", kWikitext, "12.73", kWindows, kCmoeFigure},
    {"LLaMA-2-7B", "LLaMA-MoE-v2, re-implemented", "75 % active", "4 M", kWikitext, "8.68", kWindows, kCmoe},
    {"LLaMA-2-7B", "LLaMA-MoE-v2, re-implemented", "75 % active", "4 M", kC4, "19.76", kWindows, kCmoe},
    {"LLaMA-2-7B", "LLaMA-MoE-v2, re-implemented", "75 % active", "4 M", "average accuracy", "55.27", kFiveTasks,
     kCmoe},
    {"LLaMA-2-7B", "CMoE", "S3A3E8, calibrated on WikiText-2", "0", kWikitext, "7.098", kWindows, kReplication},
    {"LLaMA-2-7B", "CMoE", "S3A3E8, calibrated on WikiText-2", "0", kC4, "10.24", kWindows, kReplication},
    {"LLaMA-2-7B", "CMoE", "S3A3E8, calibrated on SlimPajama", "0", kWikitext, "7.500 ± .028", kWindows, kReplication},
    {"LLaMA-2-7B", "CMoE", "S3A3E8, calibrated on SlimPajama", "0", kC4, "10.09", kWindows, kReplication},
    {"LLaMA-2-7B", "CMoE", "S2A2E8", "0", kWikitext, "18.94 ± .46", kWindows, kReplication},
    {"LLaMA-2-7B", "CMoE's experts, oracle router", "S3A3E8", "0", kWikitext, "6.645", kWindows, kReplication},
    {"LLaMA-2-7B", "CMoE's experts, oracle router", "S3A3E8", "0", kC4, "9.27", kWindows, kReplication},
    {"LLaMA-2-7B", "static mask", "S6A0E8", "0", kWikitext, "7.433", kWindows, kReplication},
    {"LLaMA-2-7B", "FLAP with bias", "75 % active", "0", kWikitext, "7.250", kWindows, kReplication},
    {"LLaMA-2-7B", "FLAP with bias", "50 % active", "0", kWikitext, "13.105", kWindows, kReplication},
    {"LLaMA-2-7B", "random split, CMoE's router", "75 % active", "0", kWikitext, "29.90", kWindows, kReplication},
    {"LLaMA-2-7B", "random split, CMoE's router", "50 % active", "0", kWikitext, "608", kWindows, kReplication},
    {"LLaMA-2-7B", "LLaMA-MoE", "2 of 16", "200 B", "average accuracy", "55.5", kElevenTasks, kLlamaMoe},
    {"LLaMA-2-7B", "LLaMA-MoE", "4 of 16", "200 B", "average accuracy", "57.7", kElevenTasks, kLlamaMoe},
    {"LLaMA-2-7B", "LLaMA-MoE", "2 of 8", "200 B", "average accuracy", "57.6", kElevenTasks, kLlamaMoe},
    {"LLaMA-3-8B", "dense", "", "0", "average accuracy", "72.8", kUnknown, kExpertWeaver},
    {"LLaMA-3-8B", "CMoE", "75 % active", "0", "average accuracy", "57.2", kUnknown, kExpertWeaver},
    {"LLaMA-3-8B", "ExpertWeaver", "75 % active", "0", "average accuracy", "60.4", kUnknown, kExpertWeaver},
    {"TinyLlama-1.1B", "dense", "", "0", "average accuracy", "47.18", kUnknown, kDive},
    {"TinyLlama-1.1B", "DIVE", "1 of 8, keeping 50 %", "5 B", kWikitext, "13.52", kUnknown, kDive},
    {"TinyLlama-1.1B", "DIVE", "1 of 8, keeping 50 %", "5 B", kLambada, "24.84", kUnknown, kDive},
    {"TinyLlama-1.1B", "DIVE", "1 of 8, keeping 50 %", "5 B", "average accuracy", "42.17", kUnknown, kDive},
    {"TinyLlama-1.1B", "DIVE", "2 of 8, keeping 25 %", "5 B", kWikitext, "18.09", kUnknown, kDive},
    {"TinyLlama-1.1B", "DIVE", "2 of 8, keeping 25 %", "5 B", kLambada, "63.45", kUnknown, kDive},
    {"TinyLlama-1.1B", "FLAP", "50 % pruned", "5 B", kWikitext, "14.51", kUnknown, kDive},
    {"TinyLlama-1.1B", "FLAP", "50 % pruned", "5 B", kLambada, "33.22", kUnknown, kDive},
    {"TinyLlama-1.1B", "LLaMA-MoE", "1 of 8", "5 B", kWikitext, "19.57", kUnknown, kDive},
    {"TinyLlama-1.1B", "LLaMA-MoE", "1 of 8", "5 B", kLambada, "87.27", kUnknown, kDive},
});

}  // namespace

std::span<const PublishedNumber> published_numbers() { return kNumbers; }

std::vector<std::string> published_header() {
  return {"model", "method", "configuration", "training tokens", "metric", "published value", "protocol", "source"};
}

std::vector<std::vector<std::string>> published_rows() {
  std::vector<std::vector<std::string>> rows;
  for (const PublishedNumber& number : kNumbers) {
    rows.push_back({number.model, number.method, number.configuration, number.training_tokens, number.metric,
                    number.value + std::string(" ") + kPublishedMark, number.protocol, number.source});
  }
  return rows;
}

}  // namespace moebench
