// One line that says how far a long job is: rewritten in place on a terminal, else a plain line every few seconds.
#pragma once

#include <chrono>
#include <cstdio>
#include <string>

namespace xbench {

class ProgressLine {
public:
    // Writes to `out` (a program's stderr); quiet writes nothing.
    explicit ProgressLine(std::FILE* out, bool quiet = false);
    ~ProgressLine();
    ProgressLine(const ProgressLine&) = delete;
    ProgressLine& operator=(const ProgressLine&) = delete;

    // `done` of `total`, whatever they count; a negative `seconds_left` is estimated from the time so far.
    void update(double done, double total, const std::string& text, double seconds_left = -1);
    void note(const std::string& line);  // a line of its own that stays
    void finish();                       // removes the line in place

private:
    using Clock = std::chrono::steady_clock;
    std::FILE* out_;
    bool quiet_, terminal_;
    bool shown_ = false;
    Clock::time_point started_, last_;
};

std::string duration_text(double seconds);  // "48 s", "3 min 20 s", "2 h 05 min"

}  // namespace xbench
