// Command line, subcommands and exit codes. What a subcommand throws becomes a line on stderr and an exit code here; only
// ranks of a job catch it themselves, to end their peers.
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string_view>

#include "app/command_table.h"
#include "app/commands.h"
#include "app/help_text.h"
#include "app/installed.h"
#include "app/verbosity.h"
#include "bench/base/environment.h"
#include "core/config.h"
#include "core/error.h"
#include "core/failure.h"
#include "core/files.h"
#include "core/nearest.h"
#include "core/utf8.h"
#include "data/import/worker/serve.h"

namespace {

using xbench::ExitCode;

constexpr size_t longest_message = 300;
constexpr double largest_number = 1e18;  // of whole ones: what is larger would be cut to the largest that 64 bits hold

// CLI11 writes the bounds of "any positive number" with all 300 digits of the largest double, and the smallest one as
// 2.22e-308: said in words instead.
std::string readable(const std::string& message) {
    constexpr std::string_view words = " not in range ";
    const size_t at = message.find(words);
    if (at == std::string::npos) return message.substr(0, longest_message);
    const std::string bounds = message.substr(at + words.size());  // "[1 - 9e9]", "1 to 9"
    const size_t begin = bounds.find_first_of("-.0123456789"), space = bounds.find(' ', begin);
    const size_t high = bounds.find_first_of(".0123456789", space);
    const double low = std::strtod(bounds.c_str() + std::min(begin, bounds.size()), nullptr);
    if (high != std::string::npos && std::strtod(bounds.c_str() + high, nullptr) < 1e30)
        return message.substr(0, longest_message);
    const double value = std::strtod(message.c_str() + std::min(message.rfind(' ', at - 1) + 1, message.size()), nullptr);
    const char* wrong = !std::isfinite(value) ? "is not finite" : low < 0 || value < 0 ? "is negative" : "is not above 0";
    return message.substr(0, std::min(at, longest_message)) + " " + wrong;
}

// CLI11 prints help and version itself; every mistake of the command line is a usage error here.
int exit_for(const CLI::App& app, const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    fmt::print(stderr, "xbench: {}; --help lists what there is\n", readable(error.what()));
    return static_cast<int>(ExitCode::usage);
}

// What the program tells of itself and ends.
struct Printed {
    bool schema = false, docs = false, help_config = false;
    std::string completion, pages;
};

std::vector<CLI::Option*> add_printing_options(CLI::App& app, Printed& printed) {
    std::vector<CLI::Option*> options = {
        app.add_flag("--help-config", printed.help_config, "List the keys of a configuration file"),
        app.add_flag("--print-schema", printed.schema, "Print the JSON Schema of the configuration"),
        app.add_flag("--print-config-docs", printed.docs, "Print docs/configuration.md"),
        app.add_option("--print-completion", printed.completion, "Print the completion of a shell, to be sourced")
            ->check(CLI::IsMember({"bash", "zsh", "fish"})),
        app.set_version_flag("--version", xbench::version_text(), "Print the version and what it was built with")};
    for (CLI::Option* option : options) option->group("Print something and end");
    app.add_option("--print-pages", printed.pages)->group("");  // for the build
    return options;
}

constexpr const char* notes =
    "$ xbench data synth --out set.h5 --count 2000 --size 64\n"
    "$ xbench train --model pneumonia_cnn --data set.h5 --out runs/mine\n"
    "$ xbench --config scaling.json --out runs/table\n"
    "$ mpirun -n 2 --bind-to none xbench train --config scaling.json \\\n"
    "  --trainer cpu_ddp --out runs/two";

void add_root_options(CLI::App& app, xbench::RunOptions& options, Printed& printed) {
    namespace value = xbench::value;
    auto* config =
        app.add_option("--config", options.config, "Run the sweep that this JSON file describes")->type_name(value::file);
    auto* set =
        app.add_option("--set", options.settings, "Replace one value: --set train.epochs=3")->type_name(value::setting);
    auto* out = app.add_option("--out", options.out, "The run folder itself (default: <output>/<name>-<UTC time>)")
                    ->type_name(value::folder);
    auto* resume = app.add_flag("--resume", options.resume, "Run what is missing in the sweep that --out holds");
    auto* overwrite = app.add_flag("--overwrite", options.overwrite, "Replace the run that --out holds")->excludes(resume);
    auto* dry_run = app.add_flag("--dry-run", options.dry_run, "List points, order and price of the sweep, and run nothing");
    auto* print =
        app.add_flag("--print-config", options.print_config, "Print the configuration with every default filled in")
            ->excludes(dry_run)
            ->excludes(out);
    xbench::add_verbosity_options(app, options.verbosity);
    app.get_option("--quiet")->description("No progress; the table is printed all the same");
    for (CLI::Option* alone : add_printing_options(app, printed))
        for (CLI::Option* other : {config, set, out, dry_run, print, resume, overwrite}) alone->excludes(other);
    app.require_subcommand(0, 1);
}

// Configurations, records and reports are JSON, which holds UTF-8 alone: said before the work, not after an epoch. Imports
// and predictions read whatever a disk holds, and escape it.
void check_arguments(int argc, char** argv) {
    const std::string_view command = argc > 1 ? argv[1] : "";
    if (command == "data" || command == "predict" || command == "explain") return;
    for (int i = 1; i < argc; ++i) {
        if (!xbench::is_utf8(argv[i]))
            throw xbench::UsageError("is not UTF-8", xbench::escape_bytes(argv[i]), "rename the file or folder (convmv)");
    }
    // These keep absolute paths, to be found from anywhere.
    const bool sweep =
        std::any_of(argv + 1, argv + argc, [](const char* word) { return std::string_view(word).starts_with("--config"); });
    if (command != "train" && command != "tune" && !(sweep && command.starts_with("--"))) return;
    if (const std::string here = xbench::absolute_path(".").string(); !xbench::is_utf8(here))
        throw xbench::UsageError("the working folder is not UTF-8", xbench::escape_bytes(here),
                                 "rename it (convmv), or start xbench in another");
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

// `--out "$UNSET"` is no request for the default, and "nan" is a number for C++ but no length of time.
void refuse_empty_values(const CLI::App& app) {
    for (const CLI::Option* option : app.get_options())
        for (const std::string& value : option->results()) {
            if (value.empty())
                throw xbench::UsageError("is empty", option->get_name(), "give a value, or leave the option out");
            if (option->get_type_name().find("INT") != std::string::npos &&
                std::fabs(std::atof(value.c_str())) > largest_number)
                throw xbench::UsageError(value.substr(0, 40) + " is too large", option->get_name(), "give a smaller number");
            if (option->get_type_name().find("FLOAT") != std::string::npos && !std::isfinite(std::atof(value.c_str())))
                throw xbench::UsageError("\"" + value + "\" is not finite", option->get_name(), "give a number");
        }
    for (const CLI::App* command : app.get_subcommands()) refuse_empty_values(*command);
}

// A word that is no subcommand where one is expected: what it may have meant.
std::string proposal_for(const CLI::App& app, int argc, char** argv) {
    const CLI::App* command = &app;
    for (int i = 1; i < argc && !command->get_subcommands(nullptr).empty(); ++i) {
        const std::string word = argv[i];
        if (word.empty() || word[0] == '-') return {};
        std::vector<std::string> names;
        const CLI::App* found = nullptr;
        for (const CLI::App* sub : command->get_subcommands(nullptr)) {
            names.push_back(sub->get_name());
            if (sub->get_name() == word) found = sub;
        }
        if (found == nullptr) {
            const std::string close = xbench::nearest(word, names);
            return close.empty() ? fmt::format("there is no subcommand {}; there are {}", word, fmt::join(names, ", "))
                                 : fmt::format("there is no subcommand {}; did you mean {}?", word, close);
        }
        command = found;
    }
    return {};
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
    CLI::App app("train image classifiers, serially and in parallel, and measure how that scales", "xbench");
    xbench::RunOptions options;
    Printed printed;
    app.formatter(std::make_shared<xbench::TableFormatter>());
    app.set_help_flag("-h,--help", "Print this help and end");
    app.footer(notes);
    add_root_options(app, options, printed);
    xbench::add_data_commands(app);
    xbench::add_train_command(app);
    xbench::add_tune_command(app);
    xbench::add_eval_command(app);
    xbench::add_predict_command(app);
    xbench::add_explain_command(app);
    xbench::add_models_command(app);
    xbench::add_step_command(app);
    xbench::add_kernels_command(app);
    xbench::add_comm_command(app);
    xbench::add_report_command(app);
    xbench::add_audit_command(app);
    xbench::add_doctor_command(app);
    app.parse_complete_callback([&app] {
        refuse_options_before_subcommand(app);
        refuse_empty_values(app);
    });
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
    if (printed.schema)
        fmt::print("{}\n", xbench::json_text(xbench::config_schema(), 2));
    else if (printed.docs)
        fmt::print("{}", xbench::config_markdown());
    else if (printed.help_config)
        fmt::print("{}", xbench::config_help());
    else if (!printed.completion.empty())
        fmt::print("{}", xbench::completion_script(app, printed.completion));
    else if (!printed.pages.empty())
        xbench::write_pages(app, printed.pages);
    else if (options.config.empty())
        throw xbench::UsageError("nothing to do", "command line", "give --config FILE or a subcommand; see --help");
    else
        xbench::run_sweep_command(options);
    return 0;
}

// A closed standard stream would be the number of the next file that is opened, and a report be written into a data set.
void open_standard_streams() {
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        if (fcntl(stream, F_GETFD) == -1 && errno == EBADF)
            if (open("/dev/null", stream == STDIN_FILENO ? O_RDONLY : O_WRONLY) < 0) return;
}

// What was printed is in a buffer, and a full disk would be noticed by nobody.
int after_printing(int code) {
    if (code != 0 || (std::fflush(stdout) == 0 && std::ferror(stdout) == 0)) return code;
    fmt::print(stderr, "standard output: cannot be written: {}; is the disk full?\n", std::strerror(errno));
    return static_cast<int>(ExitCode::failed);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 2 && argv[1] == std::string_view(xbench::worker::subcommand)) return xbench::worker::serve();
    open_standard_streams();
    try {
        xbench::remember_command_line(argc, argv);
        return after_printing(run(argc, argv));
    } catch (const xbench::ExitWith& exit) {
        return static_cast<int>(exit.code);
    } catch (const std::exception& error) {
        const xbench::Failure failure = xbench::failure_of(error);
        fmt::print(stderr, "{}\n", failure.line);
        return static_cast<int>(failure.code);
    }
}
