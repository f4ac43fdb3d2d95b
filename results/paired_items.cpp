#include "results/paired_items.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <utility>

namespace moebench {
namespace {

using ItemsById = std::map<std::string, const Item*>;
using ItemPair = std::pair<const Item*, const Item*>;

std::map<std::string, ItemsById> by_metric(const std::vector<Item>& items) {
  std::map<std::string, ItemsById> metrics;
  for (const Item& item : items) metrics[item.task][item.id] = &item;
  return metrics;
}

template <class Condition>
bool all(const std::vector<ItemPair>& pairs, const Condition& condition) {
  return std::all_of(pairs.begin(), pairs.end(),
                     [&](const ItemPair& pair) { return condition(*pair.first) && condition(*pair.second); });
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::vector<double> right_scores(const std::vector<const Item*>& items) {
  std::vector<double> scores;
  for (const Item* item : items) scores.push_back(*item->correct ? 1 : 0);
  return scores;
}

std::vector<double> nll_scores(const std::vector<const Item*>& items) {
  double nll = 0, tokens = 0;
  for (const Item* item : items) {
    nll += item->nll;
    tokens += static_cast<double>(item->tokens);
  }
  const double ratio = nll / tokens, mean_tokens = tokens / static_cast<double>(items.size());
  std::vector<double> scores;
  for (const Item* item : items) {
    scores.push_back(ratio + (item->nll - ratio * static_cast<double>(item->tokens)) / mean_tokens);
  }
  return scores;
}

std::vector<std::string> clusters_of(const std::vector<ItemPair>& pairs) {
  std::vector<std::string> clusters;
  for (const auto& [base, candidate] : pairs) {
    clusters.push_back(base->cluster.empty() ? candidate->cluster : base->cluster);
  }
  const bool is_one = std::set<std::string>(clusters.begin(), clusters.end()).size() == 1;
  return is_one ? std::vector<std::string>() : clusters;
}

std::optional<NllDrift> drift_of(const std::vector<ItemPair>& pairs) {
  if (all(pairs, [](const Item& item) { return item.nll == 0; })) return std::nullopt;
  std::vector<double> moved;
  for (const auto& [base, candidate] : pairs) moved.push_back(std::abs(candidate->nll - base->nll));
  return NllDrift{mean(moved), *std::max_element(moved.begin(), moved.end())};
}

std::string obstacle_of(const std::vector<ItemPair>& pairs) {
  if (pairs.size() < 2) return "needs two items of both at least, there are " + std::to_string(pairs.size());
  if (all(pairs, [](const Item& item) { return item.correct.has_value(); })) return "";
  if (!all(pairs, [](const Item& item) { return item.tokens > 0; })) {
    return "its items are neither all right or wrong, nor all with a likelihood of tokens";
  }
  for (const auto& [base, candidate] : pairs) {
    if (base->tokens != candidate->tokens) {
      return "item " + base->id + " has " + std::to_string(base->tokens) + " tokens in the one and " +
             std::to_string(candidate->tokens) + " in the other; another tokenizer's do not compare";
    }
  }
  const bool is_finite = all(pairs, [](const Item& item) { return std::isfinite(item.nll); });
  return is_finite ? "" : "some items have no finite likelihood; a model has diverged";
}

PairedItems paired(const ItemsById& base, const ItemsById& candidate) {
  PairedItems result;
  std::vector<ItemPair> pairs;
  for (const auto& [id, item] : base) {
    const auto found = candidate.find(id);
    if (found != candidate.end()) pairs.emplace_back(item, found->second);
  }
  result.only_base = static_cast<int64_t>(base.size() - pairs.size());
  result.only_candidate = static_cast<int64_t>(candidate.size() - pairs.size());
  result.obstacle = obstacle_of(pairs);
  if (!result.obstacle.empty()) return result;
  std::vector<const Item*> of_base, of_candidate;
  for (const ItemPair& pair : pairs) {
    of_base.push_back(pair.first);
    of_candidate.push_back(pair.second);
  }
  const bool is_right_or_wrong = all(pairs, [](const Item& item) { return item.correct.has_value(); });
  result.score = is_right_or_wrong ? ItemScore::kRight : ItemScore::kNll;
  const auto scores = is_right_or_wrong ? right_scores : nll_scores;
  result.scores = {scores(of_base), scores(of_candidate), clusters_of(pairs)};
  result.base = mean(result.scores.base);
  result.candidate = mean(result.scores.candidate);
  result.drift = drift_of(pairs);
  return result;
}

}  // namespace

std::map<std::string, PairedItems> pair_items(const std::vector<Item>& base, const std::vector<Item>& candidate) {
  std::map<std::string, ItemsById> of_base = by_metric(base), of_candidate = by_metric(candidate);
  for (const auto& [metric, items] : of_candidate) of_base[metric];
  std::map<std::string, PairedItems> metrics;
  for (const auto& [metric, items] : of_base) metrics.emplace(metric, paired(items, of_candidate[metric]));
  return metrics;
}

}  // namespace moebench
