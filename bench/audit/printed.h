// Numbers as a table prints them. A printed number is a range: "1.92" is anything that was rounded to it, and "1.920" is
// less. So the text is kept, with its trailing zeros. Percent are kept as shares: "87.2%" is 0.872 with a unit of 0.001.
#pragma once

#include <optional>
#include <string>

namespace xbench::audit {

struct Range {
    double low, high;
    bool empty() const { return !(low <= high); }
    bool holds(double value) const { return low <= value && value <= high; }
};
Range everything();
Range exactly(double value);
Range common(const Range& a, const Range& b);     // of two ranges; empty where they don't meet
bool meet(const Range& a, const Range& b);        // up to the error of double arithmetic
Range widened(const Range& range);                // by that error
Range power(const Range& base, double exponent);  // of a range of positive numbers
Range product(const Range& a, const Range& b);    // any signs
Range sum(const Range& a, const Range& b);
Range scaled(const Range& range, double factor);

struct Printed {
    std::string text;
    double value = 0;
    double unit = 0;  // one in its last digit
    bool last_digit_is_even = false;
    bool percent = false;
    double scale = 1;  // value / the number that is printed: 0.01 of percent, 60 of minutes
};
// "5530", "5,530 s", "1.92x", "1,92", "38 %", ".84", "1.2e-3", "1:32:10" (seconds), "0.91 +- 0.02" (the first number).
// Nothing for "", "-", "n/a", "10/12", words.
std::optional<Printed> parse_printed(const std::string& text);
// Of a time with its units, in seconds: "1h 2m", "31 min", "1.5 hours", "45,5 s", "90 ms". Nothing for others.
std::optional<Printed> parse_time(const std::string& text);

// nearest: ties go up; half_even: ties go to the even digit; truncated: digits were cut off; any: each number by a rounding
// of its own, which is the widest.
enum class Rounding { nearest, half_even, truncated, any };
Range range_of(const Printed& printed, Rounding rounding);

std::string range_text(const Range& range);  // "1.9412 to 1.9422"

}  // namespace xbench::audit
