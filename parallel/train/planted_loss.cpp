// Reading what is planted, and planting it.
#include "parallel/train/planted_loss.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "core/error.h"

namespace xbench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto hog_period = std::chrono::milliseconds(2);  // short beside a step, so that every step has its share
constexpr size_t hog_bytes = size_t{64} << 20;             // no cache holds it

std::vector<double> numbers(const std::string& text, const std::string& item) {
    std::vector<double> values;
    std::stringstream parts(text);
    for (std::string part; std::getline(parts, part, ',');) {
        char* end = nullptr;
        const double value = std::strtod(part.c_str(), &end);
        if (part.empty() || text.ends_with(',') || *end != '\0' || !std::isfinite(value) || value < 0)
            throw UsageError("\"" + item + "\" is no planted loss", "XBENCH_PLANT", "numbers are 0 or more");
        values.push_back(value);
    }
    return values;
}

}  // namespace

double PlantedLoss::delay_of(int rank, int ranks, uint32_t step) const {
    if (ranks == 1 || delay_ms.empty()) return step_ms;
    const size_t at = static_cast<size_t>(rank) + (rotate ? step : 0);
    return step_ms + delay_ms[at % delay_ms.size()];
}

std::string planted_text() {
    const char* text = std::getenv("XBENCH_PLANT");
    return text == nullptr ? "" : text;
}

PlantedLoss planted_loss() {
    PlantedLoss loss;
    std::stringstream items(planted_text());
    for (std::string item; items >> item;) {
        const size_t equals = std::min(item.find('='), item.size());
        const std::string key = item.substr(0, equals);
        const std::vector<double> values = numbers(item.substr(std::min(equals + 1, item.size())), item);
        const bool one = values.size() == 1;
        if (key == "delay" && !values.empty())
            loss.delay_ms = values;
        else if (key == "rotate" && one)
            loss.rotate = values[0] != 0;
        else if (key == "step" && one)
            loss.step_ms = values[0];
        else if (key == "starve" && one)
            loss.starve_ms = values[0];
        else if (key == "hog" && one && values[0] < 1)
            loss.hog_share = values[0];
        else
            throw UsageError("\"" + item + "\" is no planted loss", "XBENCH_PLANT",
                             "parallel/train/planted_loss.h lists what there is");
    }
    return loss;
}

void compute_for(double ms) {
    if (ms <= 0) return;
    const auto end =
        Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double, std::milli>(ms));
    while (Clock::now() < end) {
    }
}

MemoryHog::MemoryHog(double share) {
    if (share > 0) thread_ = std::thread([this, share] { run(share); });
}

MemoryHog::~MemoryHog() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
}

void MemoryHog::run(double share) {
    std::vector<char> memory(hog_bytes, 1);
    size_t at = 0;
    auto begin = Clock::now();
    while (!stop_) {
        const auto busy_until = begin + std::chrono::duration_cast<Clock::duration>(hog_period * share);
        while (Clock::now() < busy_until)
            for (int line = 0; line < 256; ++line, at = (at + 64) % hog_bytes)
                static_cast<volatile char*>(memory.data())[at] = static_cast<char>(line);
        begin = std::max(begin + hog_period, Clock::now());
        std::this_thread::sleep_until(begin);
    }
}

}  // namespace xbench
