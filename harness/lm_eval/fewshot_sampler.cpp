#include "harness/lm_eval/fewshot_sampler.h"

#include <numeric>
#include <stdexcept>
#include <utility>

namespace moebench {

FewshotSampler::FewshotSampler(const std::vector<nlohmann::ordered_json>& pool, const std::string& sampler,
                               int64_t num_fewshot, bool excludes, uint64_t seed)
    : pool_(pool),
      takes_first_(sampler == "first_n"),
      num_fewshot_(static_cast<size_t>(num_fewshot)),
      excludes_(excludes),
      random_(seed) {
  if (num_fewshot_ + excludes_ > pool.size()) {
    throw std::invalid_argument(std::to_string(num_fewshot) + " examples are asked for, the pool has " +
                                std::to_string(pool.size()) + " documents" +
                                (excludes_ ? ", of which one must be left over" : "") + "; ask for fewer");
  }
}

std::vector<size_t> FewshotSampler::different(std::vector<size_t> places,
                                              const nlohmann::ordered_json& evaluated) const {
  if (excludes_) std::erase_if(places, [&](size_t place) { return pool_[place] == evaluated; });
  if (places.size() > num_fewshot_) places.resize(num_fewshot_);
  return places;
}

std::vector<size_t> FewshotSampler::sample(const nlohmann::ordered_json& evaluated) {
  std::vector<size_t> all(pool_.size());
  std::iota(all.begin(), all.end(), size_t{0});
  if (takes_first_) return different(std::move(all), evaluated);
  std::vector<size_t> places = different(random_.sample(pool_.size(), num_fewshot_ + excludes_), evaluated);
  if (places.size() == num_fewshot_) return places;
  // The document stands in the pool more than once, and was drawn so: once more, from the others.
  std::erase_if(all, [&](size_t place) { return pool_[place] == evaluated; });
  places = random_.sample(all.size(), num_fewshot_);
  for (size_t& place : places) place = all[place];
  return places;
}

}  // namespace moebench
