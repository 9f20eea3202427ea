// One line that says how far a long job is. On a terminal it is rewritten in place and fits
// the width; elsewhere it is a plain line every few seconds.
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
    // The same of something that comes often, as epochs: the first 20, then one every 5 seconds, and the `last`.
    void note_often(const std::string& line, bool last);
    void finish();  // removes the line in place

private:
    using Clock = std::chrono::steady_clock;
    std::FILE* out_;
    void write_in_place(const std::string& line);
    bool quiet_, terminal_;
    bool shown_ = false;
    int notes_ = 0;  // of note_often
    Clock::time_point started_, last_, last_note_;
};

// Cut to so many columns, at a character and with "..." where something is left out. Columns are characters.
std::string shortened(const std::string& line, size_t columns);
std::string duration_text(double seconds);  // "48 s", "3 min 20 s", "2 h 05 min"

}  // namespace xbench
