// How far a sweep is and how long it will take: a live line on a terminal, a plain line every few seconds elsewhere.
#pragma once

#include <functional>
#include <map>
#include <ostream>
#include <string>

namespace moebench {

class SweepProgress {
 public:
  using Clock = std::function<double()>;  // seconds

  // live: rewrite one line. out must outlive this.
  SweepProgress(std::ostream& out, bool live, Clock clock);
  ~SweepProgress();  // leaves the cursor on a line of its own

  // Announces stages to come. Stages of one kind are expected to take equally long for each unit of work.
  void expect(const std::string& kind, double work = 1);

  void start(const std::string& kind, const std::string& label, double work = 1);
  void update(double fraction);  // of the stage that was started
  void finish();
  void abandon();  // the stage under way failed: its time says nothing of the others'

  // A line of its own, above the live one.
  void note(const std::string& line);

  // What is left at the pace so far.
  struct Remaining {
    double seconds = 0;
    bool is_whole = true;  // false: stages of some kind are still to come that none was timed of
  };
  Remaining remaining() const;

 private:
  struct Kind {
    double expected = 0;  // work to come, without the stage under way
    double done_work = 0, done_seconds = 0;
  };
  void show(bool even_if_recent);
  std::string line() const;

  std::ostream& out_;
  bool live_;
  Clock clock_;
  std::map<std::string, Kind> kinds_;
  std::string kind_, label_;  // of the stage under way; "" if none
  double work_ = 0, fraction_ = 0, stage_began_ = 0, began_, last_shown_;
  int64_t stages_ = 0, finished_ = 0;
};

// "0:05", "12:34", "1:02:03".
std::string duration_text(double seconds);

}  // namespace moebench
