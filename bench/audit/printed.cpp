// Ranges are closed; a bound that a rounding leaves out is moved in by less than any table prints.
#include "bench/audit/printed.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>

namespace xbench::audit {
namespace {

constexpr double slack = 1e-9;  // relative: of sums and products of a few doubles

double wide(double value) { return slack * std::max(std::abs(value), 1e-6); }

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// A comma before three digits and no more: "5,530.25".
bool is_thousands_comma(const std::string& text, size_t at) {
    if (text[at] != ',' || at == 0 || !is_digit(text[at - 1])) return false;
    size_t digits = 0;
    while (at + 1 + digits < text.size() && is_digit(text[at + 1 + digits])) ++digits;
    return digits == 3;
}

// A comma that is no thousands' one and the only separator: "1,92".
bool is_decimal_comma(const std::string& text, size_t at) {
    return text[at] == ',' && at > 0 && is_digit(text[at - 1]) && at + 1 < text.size() && is_digit(text[at + 1]) &&
           text.find('.') == std::string::npos && text.find(',') == at && text.find(',', at + 1) == std::string::npos;
}

// "1:32:10" and "4:05.2" in seconds. Nothing for other texts.
std::optional<Printed> parse_duration(const std::string& text) {
    const size_t colon = text.find(':');
    if (colon == std::string::npos || text.find_first_not_of("0123456789:.") != std::string::npos) return std::nullopt;
    double seconds = 0;
    for (size_t at = 0; at <= text.size();) {
        const size_t end = std::min(text.find(':', at), text.size());
        double part = 0;
        const auto [stop, error] = std::from_chars(text.data() + at, text.data() + end, part);
        if (error != std::errc() || stop != text.data() + end) return std::nullopt;
        seconds = seconds * 60 + part;
        at = end + 1;
    }
    const size_t point = text.find('.');
    Printed printed;
    printed.text = text;
    printed.value = seconds;
    printed.unit = std::pow(10.0, point == std::string::npos ? 0.0 : -static_cast<double>(text.size() - point - 1));
    printed.last_digit_is_even = (text.back() - '0') % 2 == 0;
    return printed;
}

// The number at the head of a text, without its separators; `end` is where it stops.
std::string number_at_head(const std::string& text, size_t& end) {
    std::string number;
    size_t at = text.find_first_not_of(" \t~<>=");
    if (at == std::string::npos) at = text.size();
    for (bool exponent = false; at < text.size(); ++at) {
        const char c = text[at];
        const bool sign = (c == '-' || c == '+') && (number.empty() || number.back() == 'e');
        const bool begins_exponent = (c == 'e' || c == 'E') && !exponent && !number.empty() && at + 1 < text.size() &&
                                     (is_digit(text[at + 1]) || text[at + 1] == '-' || text[at + 1] == '+');
        if (is_thousands_comma(text, at)) continue;
        if (is_decimal_comma(text, at)) {
            number += '.';
            continue;
        }
        if (!is_digit(c) && c != '.' && !sign && !begins_exponent) break;
        exponent = exponent || begins_exponent;
        if (c != '+') number += begins_exponent ? 'e' : c;
    }
    end = at;
    return number;
}

int decimals_of(const std::string& number) {
    const size_t e = number.find('e'), point = number.find('.');
    const std::string mantissa = number.substr(0, e);
    int decimals = point == std::string::npos ? 0 : static_cast<int>(mantissa.size() - point - 1);
    int exponent = 0;
    if (e != std::string::npos) std::from_chars(number.data() + e + 1, number.data() + number.size(), exponent);
    return decimals - exponent;
}

// Seconds of a unit of time; 0: it is none.
double seconds_of(std::string unit) {
    std::transform(unit.begin(), unit.end(), unit.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    static const std::map<std::string, double> units{
        {"ms", 1e-3}, {"msec", 1e-3}, {"millisecond", 1e-3}, {"s", 1},     {"sec", 1},     {"second", 1}, {"m", 60},
        {"min", 60},  {"minute", 60}, {"h", 3600},           {"hr", 3600}, {"hour", 3600}, {"d", 86400},  {"day", 86400}};
    if (unit.size() > 2 && unit.back() == 's') unit.pop_back();
    const auto found = units.find(unit);
    return found == units.end() ? 0 : found->second;
}

}  // namespace

Range everything() { return {-std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()}; }
Range exactly(double value) { return {value, value}; }
Range common(const Range& a, const Range& b) { return {std::max(a.low, b.low), std::min(a.high, b.high)}; }
Range widened(const Range& range) { return {range.low - wide(range.low), range.high + wide(range.high)}; }
bool meet(const Range& a, const Range& b) { return !common(widened(a), widened(b)).empty(); }

Range power(const Range& base, double exponent) {
    const double a = std::pow(std::max(base.low, 0.0), exponent), b = std::pow(std::max(base.high, 0.0), exponent);
    return {std::min(a, b), std::max(a, b)};
}

Range product(const Range& a, const Range& b) {
    const double all[] = {a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high};
    return {*std::min_element(std::begin(all), std::end(all)), *std::max_element(std::begin(all), std::end(all))};
}

Range sum(const Range& a, const Range& b) { return {a.low + b.low, a.high + b.high}; }
Range scaled(const Range& range, double factor) { return product(range, exactly(factor)); }

std::optional<Printed> parse_printed(const std::string& text) {
    if (const auto duration = parse_duration(text)) return duration;
    Printed printed;
    printed.text = text;
    size_t end = 0;
    const std::string number = number_at_head(text, end);
    const auto [stop, error] = std::from_chars(number.data(), number.data() + number.size(), printed.value);
    if (error != std::errc() || stop != number.data() + number.size() || !std::isfinite(printed.value)) return std::nullopt;
    const size_t unit = text.find_first_not_of(" \t", end);
    if (unit != std::string::npos && std::string("/:^*").find(text[unit]) != std::string::npos) return std::nullopt;
    printed.percent = unit != std::string::npos && text[unit] == '%';
    printed.unit = std::pow(10.0, -decimals_of(number) - (printed.percent ? 2 : 0));
    const char last = number[std::min(number.find('e'), number.size()) - 1];
    printed.last_digit_is_even = !is_digit(last) || (last - '0') % 2 == 0;
    if (printed.percent) printed.value /= 100, printed.scale = 0.01;
    return printed;
}

std::optional<Printed> parse_time(const std::string& text) {
    Printed time;
    time.text = text;
    for (size_t at = 0; at < text.size();) {
        size_t end = 0;
        const std::string rest = text.substr(at);
        const std::string number = number_at_head(rest, end);
        double value = 0;
        const auto [stop, error] = std::from_chars(number.data(), number.data() + number.size(), value);
        if (error != std::errc() || stop != number.data() + number.size() || value < 0) return std::nullopt;
        const size_t word = std::min(rest.find_first_not_of(" \t", end), rest.size());
        const size_t after = std::min(rest.find_first_of(" \t.0123456789", word), rest.size());
        const double unit = seconds_of(rest.substr(word, after - word));
        if (unit == 0 || (time.scale < 1.5 * unit && at > 0)) return std::nullopt;  // from the largest unit on
        time.value += value * unit;
        time.scale = unit;
        time.unit = unit * std::pow(10.0, -decimals_of(number));
        const char last = number[std::min(number.find('e'), number.size()) - 1];
        time.last_digit_is_even = !is_digit(last) || (last - '0') % 2 == 0;
        at += std::min(rest.find_first_not_of(" \t.", after), rest.size());
    }
    return time.unit > 0 ? std::optional(time) : std::nullopt;
}

Range range_of(const Printed& printed, Rounding rounding) {
    const double v = printed.value, half = printed.unit / 2, sign = v < 0 ? -1 : 1, edge = 1e-3 * slack * printed.unit;
    switch (rounding) {
        case Rounding::nearest: return {v - half, v + half - edge};
        case Rounding::half_even:
            return printed.last_digit_is_even ? Range{v - half, v + half} : Range{v - half + edge, v + half - edge};
        case Rounding::truncated: return sign > 0 ? Range{v, v + printed.unit - edge} : Range{v - printed.unit + edge, v};
        case Rounding::any: break;
    }
    return sign > 0 ? Range{v - half, v + printed.unit} : Range{v - printed.unit, v + half};
}

std::string range_text(const Range& range) {
    const double width = std::abs(range.high - range.low), size = std::max(std::abs(range.low), std::abs(range.high));
    if (!std::isfinite(width)) return std::isfinite(range.low) ? fmt::format("{:.4g} or more", range.low) : "anything";
    const int digits =
        width > 0 && size > 0 ? std::clamp(static_cast<int>(std::ceil(std::log10(size / width))) + 1, 3, 9) : 6;
    if (width <= slack * size) return fmt::format("{:.{}g}", range.low, digits);
    return fmt::format("{:.{}g} to {:.{}g}", range.low, digits, range.high, digits);
}

}  // namespace xbench::audit
