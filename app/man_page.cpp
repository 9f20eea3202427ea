// The sections of a page. What no option table knows (files, environment, exit codes) stands here as text.
#include "app/man_page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <algorithm>
#include <cctype>
#include <sstream>

#include "app/help_text.h"

namespace xbench {
namespace {

// Of the program's own page.
constexpr const char* description =
    "xbench trains image classifiers on CPUs, serially and over MPI ranks, and measures what the parallel runs are worth: "
    "speed-up, efficiency, and the accuracy of the same runs.\n\n"
    "With --config it runs a sweep: every point is trained in fresh processes, and scaling.md, scaling.csv and the raw "
    "records are left in a run folder. Each command below has a manual page of its own.";

struct Entry {
    const char *name, *meaning;
};
constexpr Entry exit_codes[] = {
    {"0", "Done."},
    {"1", "Failed. A sweep: a row failed; rows that could not run here do not count."},
    {"2", "The command line or the configuration is wrong. Nothing was begun."},
    {"75", "Checkpointed after a signal (INT, TERM, HUP, USR1). Run it again with --resume."},
};
constexpr Entry environment[] = {
    {"XBENCH_ISA", "Forces an instruction set: portable, avx2, avx512 or avx512_bf16."},
    {"XBENCH_SHARED_MEMORY", "off: ranks of one node talk by MPI alone. By default they share memory where that works."},
    {"XBENCH_NO_NCCL",
     "Set: GPUs of several ranks exchange gradients through the host. By default NCCL does it where it is."},
    {"XBENCH_RENDEZVOUS",
     "Where ranks of GPUs that were started without MPI find each other: a folder that all of them see (default: the "
     "working "
     "folder), or pmix or pmi2, Slurm's own service."},
    {"XBENCH_SHARE_GPU", "Set: two ranks may share a GPU, to check results. By default that is refused."},
    {"XBENCH_JOB", "Any word that is the same on the ranks of one job alone; Slurm's jobs need none."},
    {"XBENCH_PROGRAM", "The program that a sweep starts its ranks with (default: this one)."},
    {"XBENCH_ONE_RANK", "Set: a parallel trainer without a launcher trains as one rank."},
    {"XBENCH_COPY", "1/4: the second of four serial runs that a sweep starts at once, each on cores of its own."},
    {"XBENCH_PLANT",
     "Losses that are planted into a training, to see that the factors of a scaling table find them; records and tables say "
     "so."},
    {"OMP_NUM_THREADS, OMP_THREAD_LIMIT", "Limits of OpenMP count as cores: more threads are refused."},
};
constexpr Entry files[] = {
    {"PREFIX/share/xbench/configs",
     "Configurations to start from. A relative --config that is not there is looked for here."},
    {"PREFIX/share/xbench/slurm", "Job scripts for sbatch, and the Apptainer recipe."},
    {"PREFIX/share/doc/xbench", "The documentation: every configuration key, the format of a set, clusters."},
};

bool is_example(const std::string& line) { return line.rfind("$ ", 0) == 0 || line.rfind("  ", 0) == 0; }

// A hyphen that is a minus, as options are typed; a leading dot or quote is no request.
std::string escaped(const std::string& text) {
    std::string result;
    for (const char c : text) {
        if (result.empty() && (c == '.' || c == '\'')) result += "\\&";
        if (c == '\\')
            result += "\\e";
        else if (c == '-')
            result += "\\-";
        else
            result += c;
    }
    return result;
}

// Lines that an editor shows whole, as troff fills them anyway.
std::string filled(const std::string& text) {
    std::string result;
    std::istringstream lines(wrapped(text, 72, 0));
    for (std::string line; std::getline(lines, line);) result += escaped(line) + "\n";
    return result;
}

std::string bold(const std::string& text) { return "\\fB" + escaped(text) + "\\fR"; }
std::string italic(const std::string& text) { return "\\fI" + escaped(text) + "\\fR"; }

std::string upper(std::string text) {
    for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return text;
}

std::string entry_text(const std::string& tag, const std::string& meaning) { return ".TP\n" + tag + "\n" + filled(meaning); }

template <size_t count>
std::string entries_text(const char* section, const Entry (&entries)[count]) {
    std::string text = fmt::format(".SH {}\n", section);
    for (const Entry& entry : entries) text += entry_text(bold(entry.name), entry.meaning);
    return text;
}

// Paragraphs and examples.
std::string paragraphs(const std::string& text) {
    std::string result;
    bool example = false, first = true;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        const bool begins = is_example(line) && !example, ends = example && !is_example(line);
        if (begins) result += first ? ".nf\n" : ".PP\n.nf\n";
        if (ends) result += ".fi\n";
        example = is_example(line);
        if (example)
            result += escaped(line.rfind("$ ", 0) == 0 ? line.substr(2) : "  " + line) + "\n";
        else if (!line.empty())
            result += (first ? "" : ".PP\n") + filled(line);
        first = false;
    }
    return result + (example ? ".fi\n" : "");
}

std::string synopsis(const CommandRow& command) {
    std::string text = ".SH SYNOPSIS\n";
    std::istringstream lines(usage_line(command));
    for (std::string line; std::getline(lines, line);) text += ".nf\n" + bold(line) + "\n.fi\n";
    return text;
}

std::string option_text(const OptionRow& row) {
    std::vector<std::string> names;
    for (const std::string& name : row.names)
        names.push_back(row.positional ? italic(name) : bold(name) + (row.value.empty() ? "" : " " + italic(row.value)));
    std::string meaning = row.help + ".";
    if (row.required) meaning += " Required.";
    if (!row.default_text.empty()) meaning += fmt::format(" Default: {}.", row.default_text);
    if (row.repeatable) meaning += " May be repeated.";
    if (!row.excludes.empty()) meaning += fmt::format(" Not with {}.", fmt::join(row.excludes, ", "));
    return entry_text(fmt::format("{}", fmt::join(names, ", ")), meaning);
}

std::string options_text(const CommandRow& command) {
    std::string text, group;
    for (const OptionRow& row : command.options) {
        const std::string heading = row.positional ? "Arguments" : row.group;
        if (heading != group) text += ".SH " + upper(escaped(heading)) + "\n";
        group = heading;
        text += option_text(row);
    }
    return text;
}

bool is_below(const CommandRow& row, const CommandRow& command) {
    for (const std::string& name : command.subcommands)
        if (row.name == (command.name.empty() ? name : command.name + " " + name)) return true;
    return false;
}

std::string commands_text(const CommandRow& command, const std::vector<CommandRow>& table) {
    std::string text;
    for (const CommandRow& row : table)
        if (is_below(row, command))
            text += entry_text(bold("xbench " + row.name), row.summary + "; see " + page_name(row) + "(1).");
    return text.empty() ? text : ".SH COMMANDS\n" + text;
}

std::string see_also(const CommandRow& command, const std::vector<CommandRow>& table) {
    std::vector<std::string> pages;
    for (const CommandRow& row : table)
        if (row.name != command.name) pages.push_back("\\fB" + escaped(page_name(row)) + "\\fR(1)");
    pages.push_back("\\fBmpirun\\fR(1)");
    pages.push_back("\\fBsbatch\\fR(1)");
    return fmt::format(".SH SEE ALSO\n{}\n", fmt::join(pages, ",\n"));
}

}  // namespace

std::string page_name(const CommandRow& command) {
    std::string name = command.name.empty() ? "xbench" : "xbench-" + command.name;
    std::replace(name.begin(), name.end(), ' ', '-');
    return name;
}

std::string man_page(const CommandRow& command, const std::vector<CommandRow>& table, const std::string& version,
                     const std::string& date) {
    const bool whole = command.name.empty();
    std::string text = fmt::format(".\\\" Written by the program itself.\n.TH {} 1 \"{}\" \"xbench {}\" \"User Commands\"\n",
                                   upper(page_name(command)), date, version);
    std::string summary = command.summary;
    summary[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(summary[0])));
    text += fmt::format(".SH NAME\n{} \\-\n{}", escaped(page_name(command)), filled(summary));
    text += synopsis(command) + ".SH DESCRIPTION\n";
    text += paragraphs(whole ? description : command.summary + ".\n" + command.notes);
    text += commands_text(command, table) + options_text(command);
    text += entries_text("EXIT STATUS", exit_codes);
    if (whole) {
        text += entries_text("ENVIRONMENT", environment) + entries_text("FILES", files);
        text += ".SH EXAMPLES\n" + paragraphs(command.notes);
    }
    return text + see_also(command, table);
}

}  // namespace xbench
