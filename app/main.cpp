// Command line, subcommands and exit codes. What a subcommand throws becomes a line on stderr and an exit code here; only
// ranks of a job catch it themselves, to end their peers.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <new>
#include <regex>
#include <string_view>

#include "app/commands.h"
#include "app/verbosity.h"
#include "core/config.h"
#include "core/error.h"
#include "core/nearest.h"
#include "core/utf8.h"
#include "data/import/worker/serve.h"

namespace {

using xbench::ExitCode;

// CLI11 writes the bounds of "any positive number" with all 300 digits of the largest double, and the smallest one as
// 2.22e-308: said in words instead.
std::string readable(const std::string& message) {
    static const std::regex range(R"((-?[0-9.e+-]+) not in range \[?(-?[0-9.e+-]+) ?(?:to|-) ?([0-9.e+]+)\]?)");
    std::smatch found;
    if (!std::regex_search(message, found, range)) return message;
    if (std::strtod(found[3].str().c_str(), nullptr) < 1e30) return message;
    const std::string bound = std::strtod(found[1].str().c_str(), nullptr) < 0 ? "is negative" : "is not above 0";
    return found.prefix().str() + found[1].str() + " " + bound + found.suffix().str();
}

// CLI11 prints help and version itself; every mistake of the command line is a usage error here.
int exit_for(const CLI::App& app, const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    fmt::print(stderr, "xbench: {}; --help lists what there is\n", readable(error.what()));
    return static_cast<int>(ExitCode::usage);
}

void add_root_options(CLI::App& app, xbench::RunOptions& options, bool& print_schema, bool& print_docs, bool& help_config) {
    auto* config = app.add_option("--config", options.config, "Run the sweep that this JSON file describes");
    auto* set = app.add_option("--set", options.settings, "Replace one value: --set train.epochs=3 (may be repeated)");
    auto* out = app.add_option("--out", options.out, "The run folder itself (default: <output>/<name>-<UTC time>)");
    auto* resume = app.add_flag("--resume", options.resume, "Run what is missing in the sweep that --out holds");
    auto* overwrite = app.add_flag("--overwrite", options.overwrite, "Replace the run that --out holds")->excludes(resume);
    auto* dry_run = app.add_flag("--dry-run", options.dry_run, "List the points of the sweep and run nothing");
    auto* print =
        app.add_flag("--print-config", options.print_config, "Print the configuration with every default filled in")
            ->excludes(dry_run)
            ->excludes(out);
    xbench::add_verbosity_options(app, options.verbosity);
    for (CLI::Option* alone : {app.add_flag("--help-config", help_config, "List the keys of a configuration file"),
                               app.add_flag("--print-schema", print_schema, "Print the JSON Schema of the configuration"),
                               app.add_flag("--print-config-docs", print_docs, "Print docs/configuration.md")})
        for (CLI::Option* other : {config, set, out, dry_run, print, resume, overwrite}) alone->excludes(other);
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

// What is given in front of a subcommand would be left aside: `xbench --dry-run train` shall not train.
void refuse_options_before_subcommand(const CLI::App& app) {
    if (app.get_subcommands().empty()) return;
    for (const CLI::Option* option : app.get_options())
        if (option->count() > 0)
            throw xbench::UsageError(
                fmt::format("stands before {} and is an option of sweeps", app.get_subcommands()[0]->get_name()),
                option->get_name(),
                fmt::format("put the options of {0} behind its name; `xbench {0} --help` lists them",
                            app.get_subcommands()[0]->get_name()));
}

// A word that is no subcommand: what it may have meant.
std::string proposal_for(const CLI::App& app, int argc, char** argv) {
    std::vector<std::string> names;
    for (const CLI::App* command : app.get_subcommands(nullptr)) names.push_back(command->get_name());
    const std::string word = argc > 1 ? argv[1] : "";
    if (word.empty() || word[0] == '-') return {};
    if (std::find(names.begin(), names.end(), word) != names.end()) return {};
    const std::string close = xbench::nearest(word, names);
    return close.empty() ? fmt::format("there is no subcommand {}; there are {}", word, fmt::join(names, ", "))
                         : fmt::format("there is no subcommand {}; did you mean {}?", word, close);
}

// An option that is not known, with the nearest that the subcommand has.
std::string option_proposal(const CLI::App& app, int argc, char** argv) {
    const CLI::App* command = &app;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word.rfind("--", 0) != 0) {
            for (const CLI::App* sub : command->get_subcommands(nullptr))
                if (sub->get_name() == word) command = sub;
            continue;
        }
        const std::string name = word.substr(0, word.find('='));
        if (command->get_option_no_throw(name) != nullptr) continue;
        std::vector<std::string> names;
        for (const CLI::Option* option : command->get_options()) names.push_back("--" + option->get_single_name());
        const std::string close = xbench::nearest(name, names);
        return fmt::format("{} has no option {}{}", command->get_name(), name,
                           close.empty() ? std::string() : "; did you mean " + close + "?");
    }
    return {};
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
    app.parse_complete_callback([&app] { refuse_options_before_subcommand(app); });
    try {
        app.parse(argc, argv);  // a subcommand does its work inside
    } catch (const CLI::ParseError& error) {
        std::string better;
        if (error.get_exit_code() != 0) better = proposal_for(app, argc, argv);
        if (better.empty() && error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError))
            better = option_proposal(app, argc, argv);
        if (better.empty()) return exit_for(app, error);
        throw xbench::UsageError(better, "xbench");
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
    if (argc == 2 && argv[1] == std::string_view(xbench::worker::subcommand)) return xbench::worker::serve();
    try {
        return run(argc, argv);
    } catch (const xbench::ExitWith& exit) {
        return static_cast<int>(exit.code);
    } catch (const xbench::Error& error) {
        fmt::print(stderr, "{}\n", error.what());
        return static_cast<int>(error.code());
    } catch (const std::filesystem::filesystem_error& error) {  // the last resort: file, reason, remedy
        fmt::print(stderr, "{}: {}; check the path and its permissions\n", error.path1().string(), error.code().message());
        return static_cast<int>(ExitCode::failed);
    } catch (const std::bad_alloc&) {
        fmt::print(stderr,
                   "xbench: not enough memory; give fewer images at a time, or raise the limit (ulimit -v, --mem)\n");
        return static_cast<int>(ExitCode::failed);
    } catch (const std::exception& error) {
        fmt::print(stderr, "xbench: {}\n", error.what());
        return static_cast<int>(ExitCode::failed);
    }
}
