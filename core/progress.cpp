// Updates are cheap: between two of them that are shown nothing is formatted.
#include "core/progress.h"

#include <fmt/format.h>
#include <unistd.h>
#include <algorithm>
#include <cmath>

namespace xbench {
namespace {

constexpr std::chrono::milliseconds every_on_terminal{100}, every_in_file{5000};

}  // namespace

ProgressLine::ProgressLine(std::FILE* out, bool quiet)
    : out_(out),
      quiet_(quiet),
      terminal_(!quiet && isatty(fileno(out)) != 0),
      started_(Clock::now()),
      last_(started_ - every_in_file) {}

ProgressLine::~ProgressLine() { finish(); }

void ProgressLine::update(double done, double total, const std::string& text, double seconds_left) {
    const auto now = Clock::now();
    const auto every = terminal_ ? every_on_terminal : every_in_file;
    if (quiet_ || (now - last_ < every && done < total)) return;
    last_ = now;
    const double so_far = std::chrono::duration<double>(now - started_).count();
    if (seconds_left < 0 && done > 0) seconds_left = so_far * (total - done) / done;
    const double percent = total > 0 ? 100 * std::min(1.0, done / total) : 0;
    std::string line = fmt::format("{:3.0f}%  {}", percent, text);
    if (seconds_left >= 0 && done < total) line += fmt::format("  {} left", duration_text(seconds_left));
    fmt::print(out_, "{}{}{}", terminal_ ? "\r\x1b[2K" : "", line, terminal_ ? "" : "\n");
    std::fflush(out_);
    shown_ = terminal_;
}

void ProgressLine::note(const std::string& line) {
    if (quiet_) return;
    finish();
    fmt::print(out_, "{}\n", line);
    std::fflush(out_);
}

void ProgressLine::finish() {
    if (shown_) fmt::print(out_, "\r\x1b[2K");
    std::fflush(out_);
    shown_ = false;
}

std::string duration_text(double seconds) {
    const auto whole = static_cast<int64_t>(std::llround(std::max(0.0, seconds)));
    if (whole < 60) return fmt::format("{} s", whole);
    if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
    return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

}  // namespace xbench
