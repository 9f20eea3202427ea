// How much a command says: --log-level error | warning | info | debug, and --quiet, which is --log-level error.
// error: what failed; warning: notes on what was read or left out too; info (the default): the report and, on a terminal
// or every few seconds in a log, progress; debug: where and what it computes with, every
// step of a training, every process that a sweep starts.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "core/progress.h"

namespace xbench {

struct Verbosity {
    std::string level = "info";
    bool quiet = false;
    int rank_of_level() const;  // 0 error .. 3 debug
    bool warnings() const { return rank_of_level() >= 1; }
    bool report() const { return rank_of_level() >= 2; }
    bool progress() const { return rank_of_level() >= 2; }
    bool debug() const { return rank_of_level() >= 3; }
};

// Adds --log-level alone, for commands whose --quiet leaves the report.
CLI::Option* add_level_option(CLI::App& command, Verbosity& verbosity);
// Adds --quiet and --log-level; giving both is refused.
void add_verbosity_options(CLI::App& command, Verbosity& verbosity);
// A line on stderr; nothing when `text` is empty.
void note(const Verbosity& verbosity, const std::string& text);
// With --log-level debug: each line of `text` on stderr.
void detail(const Verbosity& verbosity, const std::string& text);
// Shows "images done/total".
std::function<void(int64_t done, int64_t total)> show_images(ProgressLine& line);

}  // namespace xbench
