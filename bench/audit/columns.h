// What the columns of somebody's table are, by their headers.
#pragma once

#include <string>
#include <vector>

#include "bench/audit/table.h"

namespace xbench::audit {

struct Column {
    Role role = Role::other;
    double factor = 1;  // of the printed number to the role's unit
    std::string name;   // of Role::count the class
};

// In small letters, without anything but letters, digits and %.
std::string plain(const std::string& text);
bool is_share(Role role);  // of 0 to 1
// One for each header. Where two say the same thing, the better one is read (gpus rather than nodes), and the other is
// Role::other.
std::vector<Column> columns_of(const std::vector<std::string>& headers);

}  // namespace xbench::audit
