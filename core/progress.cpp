// Updates are cheap: between two of them that are shown nothing is formatted.
#include "core/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <algorithm>
#include <cmath>

namespace xbench {
namespace {

constexpr std::chrono::milliseconds every_on_terminal{100}, every_in_file{5000}, every_note{5000};
constexpr int notes_shown_anyway = 20;

// Asked each time, as windows change; 80 where nobody knows. The last column stays free: some terminals wrap behind it.
size_t columns_of(std::FILE* out) {
    winsize size{};
    const bool known = ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
    return known ? size.ws_col - 1u : 79u;
}

}  // namespace

ProgressLine::ProgressLine(std::FILE* out, bool quiet)
    : out_(out),
      quiet_(quiet),
      terminal_(!quiet && isatty(fileno(out)) != 0),
      started_(Clock::now()),
      last_(started_ - every_in_file),
      last_note_(started_ - every_note) {}

ProgressLine::~ProgressLine() { finish(); }

void ProgressLine::update(double done, double total, const std::string& text, double seconds_left) {
    const auto now = Clock::now();
    const auto every = terminal_ ? every_on_terminal : every_in_file;
    if (quiet_ || (now - last_ < every && done < total)) return;
    last_ = now;
    const double so_far = std::chrono::duration<double>(now - started_).count();
    if (seconds_left < 0 && done > 0) seconds_left = so_far * (total - done) / done;
    const double percent = total > 0 ? 100 * std::min(1.0, done / total) : 0;
    std::string line = fmt::format("{:3.0f}%  ", percent);
    if (seconds_left >= 0 && done < total) line += fmt::format("{} left  ", duration_text(seconds_left));
    line += text;  // last: a narrow terminal cuts it
    if (terminal_)
        write_in_place(line);
    else
        fmt::print(out_, "{}\n", line);
    std::fflush(out_);
}

void ProgressLine::write_in_place(const std::string& line) {
    fmt::print(out_, "\r\x1b[2K{}", shortened(line, columns_of(out_)));
    shown_ = true;
}

void ProgressLine::note(const std::string& line) {
    if (quiet_) return;
    finish();
    fmt::print(out_, "{}\n", line);
    std::fflush(out_);
}

void ProgressLine::note_often(const std::string& line, bool last) {
    const auto now = Clock::now();
    if (quiet_ || (++notes_ > notes_shown_anyway && now - last_note_ < every_note && !last)) return;
    last_note_ = now;
    note(terminal_ ? shortened(line, columns_of(out_)) : line);
}

void ProgressLine::finish() {
    if (shown_) fmt::print(out_, "\r\x1b[2K");
    std::fflush(out_);
    shown_ = false;
}

std::string shortened(const std::string& line, size_t columns) {
    const auto begins = [](char c) { return (static_cast<unsigned char>(c) & 0xC0u) != 0x80u; };
    if (static_cast<size_t>(std::count_if(line.begin(), line.end(), begins)) <= columns) return line;
    const size_t dots = std::min<size_t>(3, columns);
    size_t end = 0;
    for (size_t room = columns - dots; end < line.size(); ++end)
        if (begins(line[end]) && room-- == 0) break;
    return line.substr(0, end) + std::string(dots, '.');
}

std::string duration_text(double seconds) {
    const auto whole = static_cast<int64_t>(std::llround(std::max(0.0, seconds)));
    if (whole < 60) return fmt::format("{} s", whole);
    if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
    return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

}  // namespace xbench
