// Memory as text.
#include "bench/runs/memory_report.h"

#include <fmt/format.h>

namespace xbench {
namespace {

std::string mebibytes(size_t bytes) { return fmt::format("{:.3f}", static_cast<double>(bytes) / 1048576.0); }

}  // namespace

std::string memory_table(const std::vector<std::pair<std::string, MemoryUse>>& rows) {
    std::string head = fmt::format("| {:<22} |", "MiB"), line = fmt::format("| {:-<22} |", ""), text;
    const auto column = [&](const std::string& name) {
        head += fmt::format(" {:>11} |", name);
        line += fmt::format(" {:->10}: |", "");
    };
    for (size_t i = 0; i < memory_categories; ++i) column(name_of(static_cast<MemoryCategory>(i)));
    column("total");
    for (const auto& [title, use] : rows) {
        text += fmt::format("| {:<22} |", title);
        for (const size_t bytes : use.bytes) text += fmt::format(" {:>11} |", mebibytes(bytes));
        text += fmt::format(" {:>11} |\n", mebibytes(use.total()));
    }
    return head + "\n" + line + "\n" + text;
}

Json to_json(const MemoryUse& use) {
    Json json = Json::object();
    for (size_t i = 0; i < memory_categories; ++i) json[name_of(static_cast<MemoryCategory>(i))] = use.bytes[i];
    json["total"] = use.total();
    return json;
}

}  // namespace xbench
