// xbench data leaks: images and groups of a set that lie in more than one split.
#include <algorithm>
#include <memory>

#include <fmt/core.h>

#include "app/command_table.h"
#include "app/data_tables.h"
#include "app/single_process.h"
#include "core/error.h"
#include "core/parallel_for.h"
#include "data/import/leaks.h"
#include "data/set/h5.h"

namespace xbench {
namespace {

struct LeaksCommand {
    std::string set;
    bool json = false, refuse = false;
    int threads = 0, show = 20;
};

void print_leaks(const LeakReport& report, const std::vector<std::string>& ids, const LeaksCommand& command) {
    fmt::print("{}: {}\n", command.set, report.verdict());
    fmt::print("identical images: {} pairs, {} of them across splits; {} groups, {} of them across splits\n",
               report.identical_pairs, report.identical_across, report.groups, report.groups_across);
    fmt::print("similar images: {} pairs, {} of them across splits\n", report.similar_pairs, report.similar_across);
    fmt::print("groups of the set: {}, {} of them across splits\n", report.patients, report.patients_across);
    for (size_t i = 0; i < std::min(report.examples.size(), static_cast<size_t>(command.show)); ++i) {
        const LeakPair& pair = report.examples[i];
        fmt::print("  {} = {}{}{} ({:.4f})\n", ids[static_cast<size_t>(pair.a)], ids[static_cast<size_t>(pair.b)],
                   pair.turned ? ", mirrored or turned" : "", pair.negative ? ", as a negative" : "", pair.correlation);
    }
}

void run_leaks(const LeaksCommand& command) {
    const auto dataset = open_h5(command.set);
    const LeakReport report = find_leaks(*dataset, command.threads > 0 ? command.threads : usable_cores());
    if (command.json)
        fmt::print("{}\n", json_text(to_json(report, dataset->ids()), 2));
    else
        print_leaks(report, dataset->ids(), command);
    if (command.refuse) refuse_leaks(report, command.set);
}

}  // namespace

void add_data_leaks(CLI::App& data) {
    auto command = std::make_shared<LeaksCommand>();
    CLI::App* app = data.add_subcommand("leaks", "Images and groups that lie in more than one split");
    app->add_option("set", command->set, "The HDF5 set")->type_name(value::file)->required();
    app->add_flag("--json", command->json, "As JSON");
    app->add_flag("--refuse", command->refuse, "End with exit code 1 where there are any");
    app->add_option("--show", command->show, "Pairs to list")->capture_default_str()->check(CLI::NonNegativeNumber);
    app->add_option("--threads", command->threads, "Threads; 0: all cores")
        ->capture_default_str()
        ->check(CLI::Range(0, most_threads));
    app->callback([command] { run_leaks(*command); });
}

}  // namespace xbench
