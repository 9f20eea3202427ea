// xbench data info: what a set holds, as a table or as JSON.
#include <fmt/core.h>
#include <fmt/ranges.h>
#include <memory>

#include "app/command_table.h"
#include "app/data_tables.h"
#include "data/set/h5.h"
#include "data/set/set_summary.h"

namespace xbench {
namespace {

struct InfoCommand {
    std::string set;
    bool json = false;
};

void print_summary(const SetSummary& summary) {
    const DatasetInfo& info = summary.info;
    fmt::print("{}: {} images of {}x{}x{} uint{}, {} classes{}\n", summary.path, info.count, info.channels, info.height,
               info.width, 8 * info.bytes_per_pixel, info.classes(), info.multilabel ? ", several an image" : "");
    fmt::print("made from {} by {}\n", summary.source.empty() ? "an unknown source" : summary.source,
               summary.created_by.empty() ? "an unknown program" : summary.created_by);
    print_counts(info.class_names, summary.counts, summary.images);
    if (info.multilabel) {
        fmt::print("without a class: {} train, {} val, {} test\n", summary.without_class[0], summary.without_class[1],
                   summary.without_class[2]);
    }
    if (summary.groups > 0) {
        fmt::print("groups: {}, {} of them in more than one split; {} images without a group\n", summary.groups,
                   summary.groups_across_splits, summary.images_without_group);
    } else {
        fmt::print("groups: none are named\n");
    }
    fmt::print("leaks: {}\n", summary.info.leaks.empty() ? "nobody has looked (xbench data leaks)" : summary.info.leaks);
    if (summary.has_boxes) fmt::print("boxes: {} on {} images\n", summary.boxes, summary.images_with_boxes);
    if (summary.pixel_mean.empty()) {
        fmt::print("pixels: the file has no statistics\n");
    } else {
        fmt::print("pixels of train, scaled to [0,1]: mean {:.4f}, standard deviation {:.4f}\n",
                   fmt::join(summary.pixel_mean, " "), fmt::join(summary.pixel_std, " "));
    }
}

}  // namespace

void add_data_info(CLI::App& data) {
    auto command = std::make_shared<InfoCommand>();
    CLI::App* app = data.add_subcommand("info", "What a set holds: classes, splits, size, source, groups, pixel statistics");
    app->add_option("set", command->set, "The HDF5 set")->type_name(value::file)->required();
    app->add_flag("--json", command->json, "As JSON");
    app->callback([command] {
        const SetSummary summary = summarise(read_h5_records(command->set), command->set);
        if (command->json)
            fmt::print("{}\n", json_text(to_json(summary), 2));
        else
            print_summary(summary);
    });
}

}  // namespace xbench
