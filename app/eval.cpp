// xbench eval: what a checkpoint is worth on one split of a data set.
#include <filesystem>
#include <memory>

#include <fmt/core.h>

#include "app/checkpoint_input.h"
#include "app/commands.h"
#include "app/device_option.h"
#include "app/predictions_csv.h"
#include "app/single_process.h"
#include "app/verbosity.h"
#include "bench/base/record.h"
#include "core/error.h"
#include "core/parallel_for.h"
#include "data/datasets.h"
#include "eval/curves.h"
#include "kernels/cuda/devices.h"
#include "parallel/train/inference.h"

namespace xbench {
namespace {

struct EvalCommand {
    CheckpointOptions model;
    std::string data, split = "test", out, device = "cpu";
    int threads = 0;
    Verbosity verbosity;
};

Json metrics_json(const EvalCommand& command, const LoadedModel& model, const Dataset& dataset, const Metrics& metrics,
                  const std::vector<Curve>& curves) {
    Json json = to_json(metrics);
    json["curves"] = to_json(curves);
    json["split"] = command.split;
    json["model"] = model.description.model.name;
    json["checkpoint"] = model.path;
    json["weights_hash"] = weights_hash(model.weights);
    json["data"] = dataset.info().source;
    json["data_sha"] = dataset.digest();
    return json;
}

void run_eval(const EvalCommand& command) {
    refuse_several("xbench eval", "start it alone");
    DataConfig config;
    config.path = command.data;
    const std::unique_ptr<Dataset> dataset = open_dataset(config);
    const LoadedModel model = load_model(command.model, &dataset->info());
    note(command.verbosity, model.note);
    check_images_fit(model, dataset->info());
    check_classes_fit(model, dataset->info());
    const std::vector<int64_t> indices = dataset->indices(split_from(command.split));
    if (indices.empty()) throw Error("has no images in split " + command.split, command.data, "choose another --split");

    const std::unique_ptr<Device> device =
        make_device(command.device, command.threads > 0 ? command.threads : usable_cores());
    ProgressLine line(stderr, !command.verbosity.progress());
    const Predictions predictions =
        predict(model.graph, model.weights, model.description, *dataset, indices, *device, show_images(line));
    line.finish();
    const std::vector<std::string>& names = model.description.class_names;
    const Metrics metrics = compute_metrics(predictions, names);
    const std::vector<Curve> curves = make_curves(predictions, names);

    const std::filesystem::path out = command.out;
    std::error_code ignored;  // write_text names the file that cannot be written
    std::filesystem::create_directories(out, ignored);
    write_text(out / "metrics.json", metrics_json(command, model, *dataset, metrics, curves).dump(2) + "\n");
    write_text(out / "classification_report.txt", classification_report(metrics));
    if (!metrics.multilabel) write_text(out / "confusion_matrix.csv", confusion_csv(metrics, names));
    write_text(out / "roc.csv", roc_csv(curves));
    write_text(out / "pr.csv", pr_csv(curves));
    const Truth truth{dataset->labels(), dataset->targets(), dataset->info().class_names};
    write_text(out / "predictions.csv",
               predictions_csv(predictions, names, model.description.model.multilabel, dataset->ids(), truth));
    if (command.verbosity.report()) fmt::print("{}\n{}\n", classification_report(metrics), out.string());
}

}  // namespace

void add_eval_command(CLI::App& app) {
    CLI::App* eval = app.add_subcommand("eval", "what a checkpoint is worth on a split of a data set");
    auto command = std::make_shared<EvalCommand>();
    add_checkpoint_options(*eval, command->model);
    eval->add_option("--data", command->data, "an HDF5 set")->required();
    eval->add_option("--split", command->split, "train, val or test")->capture_default_str();
    eval->add_option("--out", command->out,
                     "folder for metrics.json, the report, predictions.csv, the confusion matrix and the curves")
        ->required();
    eval->add_option("--threads", command->threads, "0: all cores that this process may use")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber);
    add_device_option(*eval, command->device);
    add_verbosity_options(*eval, command->verbosity);
    eval->callback([command] { run_eval(*command); });
}

}  // namespace xbench
