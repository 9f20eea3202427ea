// What the data subcommands share.
#pragma once

#include <CLI/CLI.hpp>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace xbench {

// One row a class, one column a split.
void print_counts(const std::vector<std::string>& names, const std::vector<std::array<int64_t, 3>>& counts,
                  const std::array<int64_t, 3>& totals);
void add_data_import(CLI::App& data);
void add_data_augment(CLI::App& data);
void add_data_explore(CLI::App& data);
void add_data_info(CLI::App& data);
void add_data_leaks(CLI::App& data);

}  // namespace xbench
