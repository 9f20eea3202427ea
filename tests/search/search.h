// Random searches: cases drawn from (seed, number of the case) until the time is up. The seed is fixed, so that CI tries the
// same cases each time, as many as it finds time for.
//
//   XBENCH_SEARCH_SECONDS  how long (each search has its own default)
//   XBENCH_SEARCH_SEED     other cases (1)
//   XBENCH_SEARCH_CASE     this one only: what a failure names
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <optional>
#include <string>

#include "core/rng.h"

namespace xbench::test {

// The choices of one case.
class Draw {
public:
    Draw(uint64_t seed, uint32_t number) : random_(seed, RandomUse::test_data, number) {}
    int64_t whole(int64_t low, int64_t high) {  // both included
        return low + static_cast<int64_t>(random_.below(static_cast<uint32_t>(high - low + 1)));
    }
    bool chance(double probability) { return static_cast<double>(random_.uniform()) < probability; }
    template <class T>
    T one_of(std::initializer_list<T> all) {
        return all.begin()[random_.below(static_cast<uint32_t>(all.size()))];
    }

private:
    Random random_;
};

struct SearchBudget {
    explicit SearchBudget(double own_seconds) : seconds(own_seconds) {
        if (const char* given = std::getenv("XBENCH_SEARCH_SECONDS")) seconds = std::atof(given);
        if (const char* given = std::getenv("XBENCH_SEARCH_SEED")) seed = std::strtoull(given, nullptr, 10);
        if (const char* given = std::getenv("XBENCH_SEARCH_CASE"))
            only = static_cast<uint32_t>(std::strtoul(given, nullptr, 10));
    }
    double seconds;
    uint64_t seed = 1;
    std::optional<uint32_t> only;
};

// Whether there is time for another case; its number goes up from 0.
class Search {
public:
    explicit Search(const SearchBudget& budget) : budget_(budget) {}
    bool more() {
        if (budget_.only) return tried_++ == 0;
        const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start_;
        return tried_++ == 0 || spent.count() < budget_.seconds;
    }
    uint32_t number() const { return budget_.only ? *budget_.only : tried_ - 1; }
    Draw draw() const { return {budget_.seed, number()}; }
    // Said before a case runs: a case that crashes or hangs is known by its last line.
    void announce(const std::string& what) const {
        fmt::print("seed {} case {}: {}\n", budget_.seed, number(), what);
        std::fflush(stdout);
    }

private:
    const SearchBudget budget_;
    const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
    uint32_t tried_ = 0;
};

}  // namespace xbench::test
