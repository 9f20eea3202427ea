// xbench data augment: a larger set from a set, or one picture of what augmentation would do to it.
#include <memory>
#include <string>

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include "app/command_table.h"
#include "app/data_ranks.h"
#include "app/data_tables.h"
#include "bench/runs/augment_sheet.h"
#include "core/config.h"
#include "core/durable_file.h"
#include "core/error.h"
#include "core/progress.h"
#include "data/load/augment_set.h"
#include "data/set/h5.h"
#include "data/set/set_summary.h"

namespace xbench {
namespace {

struct AugmentCommand {
    AugmentSetOptions options;
    std::string augment, sheet;
    bool quiet = false;
};

// "rotation=10,shift=0.05" as the section train.augment of a configuration, which knows its keys and their bounds.
AugmentConfig parse_augment(const std::string& text) {
    Json section = Json::object();
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find(',', at), text.size()), equals = text.find('=', at);
        if (equals >= end || equals == at)
            throw UsageError("'" + text.substr(at, end - at) + "' is not key=value", "--augment",
                             "write rotation=10,shift=0.05");
        const std::string value = text.substr(equals + 1, end - equals - 1);
        const auto number = parse_json(value);
        section[text.substr(at, equals - at)] = number ? *number : Json(value);
        at = end + 1;
    }
    return parse_config(json_text(Json{{"train", {{"augment", section}}}}), "--augment").train.augment;
}

void write_set(const AugmentCommand& command) {
    in_order([&](const InterruptGuard& guard) {
        try_output(command.options.out);
        ProgressLine line(stderr, command.quiet);
        const SetRecords set = augment_set(command.options, [&](int64_t done, int64_t total) {
            guard.check();
            line.update(static_cast<double>(done), static_cast<double>(total), fmt::format("{} of {} images", done, total));
        });
        line.finish();
        const SetSummary summary = summarise(set, command.options.out);
        print_counts(summary.info.class_names, summary.counts, summary.images);
        fmt::print("{}: {} images\n", command.options.out, summary.info.count);
    });
}

void run_augment(AugmentCommand& command) {
    if (!command.augment.empty()) command.options.augment = parse_augment(command.augment);
    if (command.sheet.empty() && command.options.out.empty())
        throw UsageError("nothing to write", "data augment", "name a set with --out, or a picture with --sheet");
    const std::unique_ptr<Communicator> ranks = connect_ranks();
    if (ranks != nullptr && ranks->rank() != 0) return;  // one file
    if (!command.sheet.empty()) {
        const auto dataset = open_h5(command.options.source, 0);
        const bool chosen = command.options.augment.any();
        const auto picture =
            augment_sheet(*dataset, chosen ? command.options.augment : augment_everything(), command.options.seed);
        DurableFile file(command.sheet, DurableFile::Folders::must_exist);
        file.write(picture.data(), picture.size());
        file.commit();
        fmt::print("{}: one row an image; the original, each operation alone, all together in three epochs\n",
                   command.sheet);
    }
    if (!command.options.out.empty()) write_set(command);
}

}  // namespace

void add_data_augment(CLI::App& data) {
    auto command = std::make_shared<AugmentCommand>();
    CLI::App* app =
        data.add_subcommand("augment", "A larger set: changed copies of the training images; or a picture of them");
    app->add_option("set", command->options.source, "The HDF5 set")->type_name(value::file)->required();
    app->add_option("--out", command->options.out, "The HDF5 set to write")->type_name(value::file);
    app->add_flag("--mirror", command->options.mirror,
                  "Every training image once more, left to right; left and right in class names change places");
    app->add_option("--copies", command->options.copies, "Copies of every training image, each changed by --augment")
        ->capture_default_str()
        ->check(CLI::Range(0, 1000));
    app->add_option("--augment", command->augment, "Keys of train.augment: rotation=10,shift=0.05,brightness=0.2")
        ->type_name("KEY=VALUE,...");
    app->add_option("--sheet", command->sheet, "A PNG that shows each operation; without --augment all of them")
        ->type_name(value::file);
    app->add_option("--seed", command->options.seed, "Image i of copy k is a function of the seed, i and k")
        ->capture_default_str();
    app->add_flag("--quiet", command->quiet, "No progress line");
    app->footer(
        "val and test stay as they are, and copies stay in the group of their original.\n\n"
        "$ xbench data augment nih224.h5 --out doubled.h5 --mirror\n"
        "$ xbench data augment chest64.h5 --sheet sheet.png \\\n"
        "  --augment rotation=10,shift=0.05,brightness=0.2");
    app->callback([command] { run_augment(*command); });
}

}  // namespace xbench
