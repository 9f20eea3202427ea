// The levels and what belongs to each.
#include "app/verbosity.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <sstream>

namespace xbench {
namespace {

constexpr const char* levels[] = {"error", "warning", "info", "debug"};

}  // namespace

int Verbosity::rank_of_level() const {
    if (quiet) return 0;
    return static_cast<int>(std::find(std::begin(levels), std::end(levels), level) - std::begin(levels));
}

CLI::Option* add_level_option(CLI::App& command, Verbosity& verbosity) {
    return command.add_option("--log-level", verbosity.level, "how much is said")
        ->check(CLI::IsMember({"error", "warning", "info", "debug"}))
        ->capture_default_str();
}

void add_verbosity_options(CLI::App& command, Verbosity& verbosity) {
    auto* level = add_level_option(command, verbosity);
    command.add_flag("--quiet", verbosity.quiet, "no progress and no report, as --log-level error")->excludes(level);
}

void note(const Verbosity& verbosity, const std::string& text) {
    if (!text.empty() && verbosity.warnings()) fmt::print(stderr, "note: {}\n", text);
}

void detail(const Verbosity& verbosity, const std::string& text) {
    if (!verbosity.debug()) return;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) fmt::print(stderr, "debug: {}\n", line);
}

std::function<void(int64_t done, int64_t total)> show_images(ProgressLine& line) {
    return [&line](int64_t done, int64_t total) {
        line.update(static_cast<double>(done), static_cast<double>(total), fmt::format("{}/{} images", done, total));
    };
}

}  // namespace xbench
