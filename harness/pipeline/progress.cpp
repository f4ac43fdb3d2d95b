#include "harness/pipeline/progress.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace moebench {
namespace {

constexpr double kLiveInterval = 0.2, kPlainInterval = 5;  // seconds
// Before either, the current stage says nothing of its pace.
constexpr double kTrustedFraction = 0.05, kTrustedSeconds = 60;
constexpr const char* kClearLine = "\r\x1b[K";

}  // namespace

std::string duration_text(double seconds) {
  constexpr double kMostSeconds = 1e12;
  const auto whole = static_cast<int64_t>(std::llround(std::clamp(seconds, 0.0, kMostSeconds)));
  if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

SweepProgress::SweepProgress(std::ostream& out, bool live, Clock clock)
    : out_(out), live_(live), clock_(std::move(clock)), began_(clock_()), last_shown_(began_) {}

SweepProgress::~SweepProgress() {
  if (live_ && !kind_.empty()) out_ << "\n" << std::flush;
}

void SweepProgress::expect(const std::string& kind, double work) {
  kinds_[kind].expected += work;
  ++stages_;
}

void SweepProgress::start(const std::string& kind, const std::string& label, double work) {
  Kind& of_kind = kinds_[kind];
  of_kind.expected = std::max(0.0, of_kind.expected - work);
  kind_ = kind;
  label_ = label;
  work_ = work;
  fraction_ = 0;
  stage_began_ = clock_();
  show(live_);
}

void SweepProgress::update(double fraction) {
  fraction_ = std::clamp(fraction, 0.0, 1.0);
  show(false);
}

void SweepProgress::finish() {
  Kind& of_kind = kinds_[kind_];
  of_kind.done_work += work_;
  of_kind.done_seconds += clock_() - stage_began_;
  ++finished_;
  fraction_ = 1;
  show(live_);
  if (live_) out_ << kClearLine << std::flush;
  kind_.clear();
}

void SweepProgress::abandon() {
  if (kind_.empty()) return;
  ++finished_;
  if (live_) out_ << kClearLine << std::flush;
  kind_.clear();
}

void SweepProgress::note(const std::string& line) { out_ << (live_ ? kClearLine : "") << line << "\n" << std::flush; }

SweepProgress::Remaining SweepProgress::remaining() const {
  Remaining remaining;
  for (const auto& [name, kind] : kinds_) {
    const bool under_way = name == kind_;
    const double in_stage = under_way ? clock_() - stage_began_ : 0;
    const bool trusted = under_way && (fraction_ >= kTrustedFraction || (fraction_ > 0 && in_stage >= kTrustedSeconds));
    const double timed_work = kind.done_work + (trusted ? work_ * fraction_ : 0);
    const double to_do = kind.expected + (under_way ? work_ * (1 - fraction_) : 0);
    if (to_do == 0) continue;
    if (timed_work == 0) {
      remaining.is_whole = false;
    } else {
      remaining.seconds += to_do * (kind.done_seconds + (trusted ? in_stage : 0)) / timed_work;
    }
  }
  return remaining;
}

std::string SweepProgress::line() const {
  const Remaining left = remaining();
  const std::string bound = left.is_whole ? "" : "more than ";
  const std::string until_end = !left.is_whole && left.seconds == 0 ? "unknown" : bound + duration_text(left.seconds);
  return fmt::format("[{}/{}] {} {:.0f} %  elapsed {}  ETA {}", std::min(finished_ + 1, stages_), stages_, label_,
                     100 * fraction_, duration_text(clock_() - began_), until_end);
}

void SweepProgress::show(bool even_if_recent) {
  const double now = clock_();
  if (!even_if_recent && now - last_shown_ < (live_ ? kLiveInterval : kPlainInterval)) return;
  last_shown_ = now;
  if (live_) {
    out_ << kClearLine << line() << std::flush;
  } else {
    out_ << line() << "\n" << std::flush;
  }
}

}  // namespace moebench
