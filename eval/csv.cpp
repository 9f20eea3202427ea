// Quotes a field that holds a comma, a quote or a line end; quotes inside are doubled.
#include "eval/csv.h"

namespace xbench {

std::string csv_field(const std::string& text) {
    if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
    std::string quoted = "\"";
    for (const char c : text) {
        if (c == '"') quoted += '"';
        quoted += c;
    }
    return quoted + '"';
}

}  // namespace xbench
