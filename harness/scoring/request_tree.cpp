#include "harness/scoring/request_tree.h"

#include <algorithm>

namespace moebench {
namespace {

// Requests [begin, end) that agree up to `agreed` tokens and whose tokens up to `computed` are in runs already.
struct Group {
  size_t begin = 0, end = 0;
  int64_t computed = 0, agreed = 0;
  RequestRun* parent = nullptr;
};

class TreeBuilder {
 public:
  TreeBuilder(std::span<const ScoreRequest* const> requests, int64_t fewest_shared)
      : requests_(requests), fewest_shared_(fewest_shared) {
    tree_.last_runs.resize(requests.size());
  }

  RequestTree build() {
    if (fewest_shared_ == 0) {
      for (size_t request = 0; request < requests_.size(); ++request) add_leaf({request, request + 1});
      return std::move(tree_);
    }
    std::vector<Group> groups = {{0, requests_.size()}};
    while (!groups.empty()) {
      const Group group = groups.back();
      groups.pop_back();
      split(group, groups);
    }
    return std::move(tree_);
  }

 private:
  int64_t num_fed(size_t request) const { return std::ssize(requests_[request]->ids) - 1; }

  // Of the whole group: sorted, so the first and the last differ soonest. Not past the shortest's end.
  int64_t common_length(const Group& group) const {
    const std::vector<int64_t>&first = requests_[group.begin]->ids, &last = requests_[group.end - 1]->ids;
    const int64_t longest = std::min(num_fed(group.begin), num_fed(group.end - 1));
    int64_t length = group.agreed;
    while (length < longest && first[length] == last[length]) ++length;
    return length;
  }

  void split(Group group, std::vector<Group>& groups) {
    const int64_t common = common_length(group);
    if (num_fed(group.end - 1) == common && num_fed(group.begin) == common) return add_leaf(group);
    if (common - group.computed >= fewest_shared_) {
      group.parent = add_run(group, common);
      group.computed = common;
    }
    group.agreed = common;
    for (size_t begin = group.begin; begin < group.end;) {
      size_t end = begin + 1;
      while (end < group.end && parts_alike(begin, end, common)) ++end;
      Group part = group;
      part.begin = begin;
      part.end = end;
      groups.push_back(part);
      begin = end;
    }
  }

  // Whether both feed the same token at that place, or neither any.
  bool parts_alike(size_t one, size_t other, int64_t place) const {
    if (num_fed(one) == place || num_fed(other) == place) return num_fed(one) == num_fed(other);
    return requests_[one]->ids[place] == requests_[other]->ids[place];
  }

  void add_leaf(const Group& group) {
    const int64_t length = num_fed(group.begin);
    RequestRun* const run = length > group.computed ? add_run(group, length) : group.parent;
    for (size_t request = group.begin; request < group.end; ++request) tree_.last_runs[request] = run;
  }

  RequestRun* add_run(const Group& group, int64_t end) {
    const std::vector<int64_t>& ids = requests_[group.begin]->ids;
    RequestRun& run = tree_.runs.emplace_back();
    run.ids.assign(ids.begin() + group.computed, ids.begin() + end);
    if (group.parent == nullptr) return &run;
    run.before = run.parent = group.parent;
    run.depth = group.parent->depth + 1;
    group.parent->is_continued = true;
    return &run;
  }

  std::span<const ScoreRequest* const> requests_;
  int64_t fewest_shared_;
  RequestTree tree_;
};

}  // namespace

RequestTree make_request_tree(std::span<const ScoreRequest* const> requests, int64_t fewest_shared) {
  return TreeBuilder(requests, fewest_shared).build();
}

}  // namespace moebench
