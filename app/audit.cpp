// xbench audit: what a published table's own numbers say about it.
#include <fmt/format.h>

#include "app/command_table.h"
#include "app/commands.h"
#include "bench/audit/audit.h"
#include "core/files.h"

namespace xbench {
namespace {

struct AuditOptions {
    std::string table;
    bool text = false, json = false, strict = false;
};

void run_audit(const AuditOptions& options) {
    const std::optional<std::string> table = file_text(options.table);
    if (!table) throw UsageError("cannot be read", options.table, "name a CSV file with a header");
    const audit::Report report = audit::audit(audit::parse_table(*table, options.table));
    if (options.json)
        fmt::print("{}\n", json_text(audit::to_json(report), 2));
    else
        fmt::print("{}", options.text ? audit::audit_text(report) : audit::audit_markdown(report));
    if (options.strict && report.impossible()) throw ExitWith{ExitCode::failed};
}

}  // namespace

void add_audit_command(CLI::App& app) {
    CLI::App* command = app.add_subcommand("audit", "Recompute a published table and mark what does not add up");
    auto options = std::make_shared<AuditOptions>();
    command
        ->add_option(
            "table", options->table,
            "CSV (commas, semicolons or tabs) with columns as ranks, seconds, speedup, efficiency, accuracy, f1, support")
        ->type_name(value::file)
        ->required();
    auto* text = command->add_flag("--text", options->text, "A sentence a line instead of a table");
    command->add_flag("--json", options->json, "As JSON")->excludes(text);
    command->add_flag("--strict", options->strict, "End with code 1 where something is impossible");
    command->footer("$ xbench audit published.csv --text");
    command->callback([options] { run_audit(*options); });
}

}  // namespace xbench
