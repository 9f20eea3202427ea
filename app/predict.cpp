// xbench predict: the probabilities that a checkpoint gives to each image of a set, a folder or a file. Nothing is asked of
// labels; where a set has them, they stand beside what was predicted.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <numeric>

#include <fmt/core.h>

#include "app/checkpoint_input.h"
#include "app/command_table.h"
#include "app/commands.h"
#include "app/device_option.h"
#include "app/image_files.h"
#include "app/predictions_csv.h"
#include "app/single_process.h"
#include "app/verbosity.h"
#include "bench/base/record.h"
#include "core/durable_file.h"
#include "core/error.h"
#include "core/files.h"
#include "data/set/h5.h"
#include "kernels/cuda/devices.h"
#include "parallel/train/inference.h"

namespace xbench {
namespace {

struct PredictCommand {
    CheckpointOptions model;
    std::string data, split, out, device = "cpu";
    int threads = 0;
    Verbosity verbosity;
};

void run_predict(const PredictCommand& given) {
    refuse_several("xbench predict", "start it alone");
    PredictCommand command = given;
    command.threads = threads_to_use(command.threads);
    const bool to_stdout = command.out == "-";
    if (!to_stdout) try_output(command.out);
    const bool files = is_image_source(command.data);
    if (files && !command.split.empty()) throw UsageError("image files have no splits", "--split", "leave it out");
    std::unique_ptr<Dataset> images = files ? nullptr : open_h5(command.data);
    const LoadedModel model = load_model(command.model, files ? nullptr : &images->info());
    note(command.verbosity, model.note);
    if (files) images = import_files({command.data, command.threads, command.verbosity}, model);
    check_images_fit(model, images->info());
    const WithoutLabels dataset(*images, model);
    std::vector<int64_t> indices;
    if (command.split.empty()) {
        indices.resize(static_cast<size_t>(dataset.info().count));
        std::iota(indices.begin(), indices.end(), int64_t{0});
    } else {
        indices = dataset.indices(split_from(command.split));
    }
    if (indices.empty()) throw Error("no images to predict", command.data, "choose another --split or data set");
    const std::unique_ptr<Device> device = make_device(command.device, command.threads);
    ProgressLine line(stderr, !command.verbosity.progress());
    const auto start = std::chrono::steady_clock::now();
    const Predictions predictions =
        predict(model.graph, model.weights, model.description, dataset, indices, *device, show_images(line));
    line.finish();
    detail(command.verbosity, details_of(model, predictions.count(), *device, start));
    // Image files have no labels: those that the import gave them say nothing.
    const Truth truth = files ? Truth{} : Truth{images->labels(), images->targets(), images->info().class_names};
    const std::string csv = predictions_csv(predictions, model.description.class_names, model.description.model.multilabel,
                                            dataset.ids(), truth);
    if (to_stdout) {
        if (std::fwrite(csv.data(), 1, csv.size(), stdout) != csv.size() || std::fflush(stdout) != 0)
            throw Error("cannot be written", "standard output", "is the reader gone, or the disk full?");
        return;
    }
    write_text(command.out, csv);
    if (command.verbosity.report()) fmt::print("{}: {} images\n", command.out, predictions.count());
}

}  // namespace

void add_predict_command(CLI::App& app) {
    CLI::App* predict = app.add_subcommand("predict", "the probabilities that a checkpoint gives to each image");
    auto command = std::make_shared<PredictCommand>();
    add_checkpoint_options(*predict, command->model);
    predict->add_option("--data", command->data, "an HDF5 set, a folder of PNG and JPEG files, or one such file")
        ->type_name(value::path)
        ->required();
    predict->add_option("--split", command->split, "which images of an HDF5 set (default: all)")
        ->type_name("{train,val,test}");
    predict
        ->add_option("--out", command->out,
                     "CSV: id, label (where it is known), predicted, p_0 .. p_{K-1}; - is standard output")
        ->type_name(value::file)
        ->required();
    predict->add_option("--threads", command->threads, "threads; 0: all cores that this process may use")
        ->capture_default_str()
        ->check(CLI::Range(0, most_threads));
    add_device_option(*predict, command->device);
    add_verbosity_options(*predict, command->verbosity);
    predict->footer(
        "Image files are decoded and resized as an import does it.\n\n"
        "$ xbench predict --checkpoint runs/mine/checkpoints --data images --out p.csv");
    predict->callback([command] { run_predict(*command); });
}

}  // namespace xbench
