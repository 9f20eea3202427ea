// The memory of a rank as tables and JSON: the prediction, and the count.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/json.h"
#include "core/memory_ledger.h"

namespace xbench {

// A Markdown table in MiB: one column a category and the total, one row for each (title, use).
std::string memory_table(const std::vector<std::pair<std::string, MemoryUse>>& rows);

Json to_json(const MemoryUse& use);  // bytes by category, and total

}  // namespace xbench
