// Command line, subcommands and exit codes. The only place that catches xbench::Error.
#include <fmt/format.h>
#include <cstdio>
#include <exception>
#include <string_view>

#include "app/commands.h"
#include "core/config.h"
#include "core/error.h"
#include "core/utf8.h"

namespace {

using xbench::ExitCode;

// CLI11 prints help and version itself; every mistake of the command line is a usage error here.
int exit_for(const CLI::App& app, const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    fmt::print(stderr, "xbench: {}; --help lists what there is\n", error.what());
    return static_cast<int>(ExitCode::usage);
}

void add_root_options(CLI::App& app, xbench::RunOptions& options, bool& print_schema, bool& print_docs, bool& help_config) {
    app.add_option("--config", options.config, "Run the sweep that this JSON file describes");
    app.add_option("--set", options.settings, "Replace one value: --set train.epochs=3 (may be repeated)");
    app.add_option("--out", options.out, "The run folder itself (default: <output>/<name>-<UTC time>)");
    CLI::Option* resume = app.add_flag("--resume", options.resume, "Run what is missing in the sweep that --out holds");
    app.add_flag("--overwrite", options.overwrite, "Replace the run that --out holds")->excludes(resume);
    app.add_flag("--dry-run", options.dry_run, "List the points of the sweep and run nothing");
    app.add_flag("--print-config", options.print_config, "Print the configuration with every default filled in");
    app.add_flag("--quiet", options.quiet, "No progress line");
    app.add_flag("--help-config", help_config, "List the keys of a configuration file");
    app.add_flag("--print-schema", print_schema, "Print the JSON Schema of the configuration");
    app.add_flag("--print-config-docs", print_docs, "Print docs/configuration.md");
    app.set_version_flag("--version", xbench::version_text());
    app.require_subcommand(0, 1);
}

// Configurations, records and reports are JSON, which holds UTF-8 alone: said before the work, not after an epoch. Imports
// and predictions read whatever a disk holds, and escape it.
void check_arguments(int argc, char** argv) {
    const std::string_view command = argc > 1 ? argv[1] : "";
    if (command == "data" || command == "predict") return;
    for (int i = 1; i < argc; ++i) {
        if (!xbench::is_utf8(argv[i]))
            throw xbench::UsageError("is not UTF-8", xbench::escape_bytes(argv[i]), "rename the file or folder (convmv)");
    }
}

int run(int argc, char** argv) {
    check_arguments(argc, argv);
    CLI::App app("xbench trains image classifiers, serial and in parallel, and measures how that scales.", "xbench");
    xbench::RunOptions options;
    bool print_schema = false, print_docs = false, help_config = false;
    add_root_options(app, options, print_schema, print_docs, help_config);
    xbench::add_data_commands(app);
    xbench::add_train_command(app);
    xbench::add_eval_command(app);
    xbench::add_predict_command(app);
    xbench::add_models_command(app);
    xbench::add_step_command(app);
    xbench::add_kernels_command(app);
    xbench::add_comm_command(app);
    xbench::add_doctor_command(app);
    try {
        app.parse(argc, argv);  // a subcommand does its work inside
    } catch (const CLI::ParseError& error) {
        return exit_for(app, error);
    }
    if (!app.get_subcommands().empty()) return 0;
    if (print_schema)
        fmt::print("{}\n", xbench::config_schema().dump(2));
    else if (print_docs)
        fmt::print("{}", xbench::config_markdown());
    else if (help_config)
        fmt::print("{}", xbench::config_help());
    else if (options.config.empty())
        throw xbench::UsageError("nothing to do", "command line", "give --config FILE or a subcommand; see --help");
    else
        xbench::run_sweep_command(options);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const xbench::ExitWith& exit) {
        return static_cast<int>(exit.code);
    } catch (const xbench::Error& error) {
        fmt::print(stderr, "{}\n", error.what());
        return static_cast<int>(error.code());
    } catch (const std::exception& error) {
        fmt::print(stderr, "xbench: {}\n", error.what());
        return static_cast<int>(ExitCode::failed);
    }
}
