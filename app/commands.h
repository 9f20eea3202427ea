// The subcommands of xbench, one file each. An add_ function declares the options and hangs the work on the parse;
// failures leave as xbench::Error and become an exit code in main.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "app/verbosity.h"
#include "core/error.h"
#include "kernels/registry.h"

namespace xbench {

// Ends the program with this code and without a word: what there was to say has been said.
struct ExitWith {
    ExitCode code;
};

// `xbench --config FILE`, the sweep (run.cpp).
struct RunOptions {
    std::string config, out;
    std::vector<std::string> settings;
    bool dry_run = false, print_config = false, resume = false, overwrite = false;
    Verbosity verbosity;
};
void run_sweep_command(const RunOptions& options);

void add_data_commands(CLI::App& app);  // import, synth, info
void add_train_command(CLI::App& app);
void add_tune_command(CLI::App& app);
void add_eval_command(CLI::App& app);
void add_predict_command(CLI::App& app);
void add_explain_command(CLI::App& app);
void add_models_command(CLI::App& app);
void add_step_command(CLI::App& app);
void add_kernels_command(CLI::App& app);
void add_comm_command(CLI::App& app);
void add_report_command(CLI::App& app);
void add_audit_command(CLI::App& app);
void add_doctor_command(CLI::App& app);

// The names that "model" may take, for configuration errors.
std::vector<std::string> known_models();
// --impl conv2d=reference
Choice parse_choice(const std::string& text);
// The version and what it was built with, for --version and env.json.
std::string version_text();

}  // namespace xbench
