// xbench eval: what a checkpoint is worth on one split of a data set.
#include <chrono>
#include <filesystem>
#include <memory>

#include <fmt/core.h>

#include "app/checkpoint_input.h"
#include "app/command_table.h"
#include "app/commands.h"
#include "app/device_option.h"
#include "app/eval_card.h"
#include "app/predictions_csv.h"
#include "app/single_process.h"
#include "app/verbosity.h"
#include "bench/base/record.h"
#include "bench/runs/charts.h"
#include "core/durable_file.h"
#include "core/error.h"
#include "core/files.h"
#include "data/datasets.h"
#include "data/set/h5.h"
#include "eval/evaluation.h"
#include "eval/gradcam.h"
#include "eval/subgroups.h"
#include "kernels/cuda/devices.h"
#include "parallel/train/inference.h"

namespace xbench {
namespace {

struct EvalCommand {
    CheckpointOptions model;
    std::string data, split = "test", out, device = "cpu", layer;
    int64_t cases = 4;
    int threads = 0;
    Verbosity verbosity;
};

EvaluationOptions options_of(const ModelDescription& description, const Dataset& dataset, const Predictions& predictions,
                             int threads) {
    EvaluationOptions options;
    options.thresholds = description.thresholds;
    options.temperature = description.temperature;
    options.bootstrap.threads = threads;
    if (dataset.groups().empty()) return options;
    for (const int64_t sample : predictions.samples) options.groups.push_back(dataset.groups()[static_cast<size_t>(sample)]);
    return options;
}

// What was found in several splits of the set of this evaluation and of that of the training; null: nobody has looked.
Json leaks_json(const std::string& of_training, const std::string& of_data) {
    const auto said = [](const std::string& verdict) { return verdict.empty() ? Json(nullptr) : Json(verdict); };
    return Json{{"data", said(of_data)}, {"training_data", said(of_training)}};
}

Json metrics_json(const EvalCommand& command, const LoadedModel& model, const Dataset& dataset, const Evaluation& evaluation,
                  const std::vector<Subgroup>& subgroups) {
    Json json = to_json(evaluation);
    if (!subgroups.empty()) json["subgroups"] = to_json(subgroups);
    json["split"] = command.split;
    json["model"] = model.description.model.name;
    json["checkpoint"] = model.path;
    json["weights_hash"] = weights_hash(model.weights);
    json["data"] = dataset.info().source;
    json["data_sha"] = dataset.digest();
    json["leaks"] = leaks_json(model.description.leaks, dataset.info().leaks);
    return json;
}

// The folder of the results, tried before the work. One that was made here and stays empty is removed.
class ResultFolder {
public:
    explicit ResultFolder(const std::filesystem::path& path) : path_(path), made_(!path_exists(path)) {
        if (!made_ && !is_folder(path)) throw UsageError("is no folder", path.string(), "name a folder with --out");
        make_folders(path);
        for (const char* name :
             {"metrics.json", "classification_report.txt", "intervals.txt", "confusion_matrix.csv", "roc.csv", "pr.csv",
              "calibration.csv", "roc.svg", "pr.svg", "calibration.svg", "predictions.csv", "model_card.html"})
            try_output(path / name);
    }
    ~ResultFolder() {
        std::error_code ignored;
        if (made_) std::filesystem::remove(path_, ignored);
    }
    ResultFolder(const ResultFolder&) = delete;
    ResultFolder& operator=(const ResultFolder&) = delete;

private:
    const std::filesystem::path path_;
    const bool made_;
};

void write_curves(const std::filesystem::path& out, const Evaluation& evaluation) {
    write_text(out / "roc.csv", roc_csv(evaluation.curves));
    write_text(out / "pr.csv", pr_csv(evaluation.curves));
    write_text(out / "calibration.csv", calibration_csv(evaluation.calibrations));
    write_text(out / "roc.svg", roc_svg(evaluation.curves));
    write_text(out / "pr.svg", pr_svg(evaluation.curves));
    write_text(out / "calibration.svg", calibration_svg(evaluation.calibrations));
}

void run_eval(const EvalCommand& given) {
    refuse_several("xbench eval", "start it alone");
    EvalCommand command = given;
    command.split = name_of(split_from(given.split));  // "Test" and "testing" are test
    const std::filesystem::path out = command.out;
    const ResultFolder folder(out);
    DataConfig config;
    config.path = command.data;
    const std::unique_ptr<Dataset> dataset = open_dataset(config);
    const LoadedModel model = load_model(command.model, &dataset->info());
    note(command.verbosity, model.note);
    check_images_fit(model, dataset->info());
    check_classes_fit(model, dataset->info());
    if (command.cases > 0) gradcam_layer(model.graph, command.layer);  // refuses before the work
    const std::vector<int64_t> indices = dataset->indices(split_from(command.split));
    if (indices.empty()) throw Error("has no images in split " + command.split, command.data, "choose another --split");

    const std::unique_ptr<Device> device = make_device(command.device, threads_to_use(command.threads));
    ProgressLine line(stderr, !command.verbosity.progress());
    const auto start = std::chrono::steady_clock::now();
    const Predictions predictions =
        predict(model.graph, model.weights, model.description, *dataset, indices, *device, show_images(line));
    line.finish();
    detail(command.verbosity, details_of(model, predictions.count(), *device, start));
    const std::vector<std::string>& names = model.description.class_names;
    const EvaluationOptions options = options_of(model.description, *dataset, predictions, device->threads());
    const Evaluation evaluation = evaluate(predictions, names, options);
    const SetRecords records = read_h5_records(command.data);
    const std::vector<Subgroup> subgroups =
        score_subgroups(predictions, names, options.groups, records.meta, options.bootstrap);

    write_text(out / "metrics.json", json_text(metrics_json(command, model, *dataset, evaluation, subgroups), 2) + "\n");
    write_text(out / "classification_report.txt", classification_report(evaluation.metrics));
    write_text(out / "intervals.txt", evaluation_report(evaluation));
    if (!evaluation.metrics.multilabel) write_text(out / "confusion_matrix.csv", confusion_csv(evaluation.metrics, names));
    write_curves(out, evaluation);
    const Truth truth{dataset->labels(), dataset->targets(), dataset->info().class_names};
    write_text(out / "predictions.csv",
               predictions_csv(predictions, names, model.description.model.multilabel, dataset->ids(), truth));
    write_text(out / "model_card.html", model_card_of({model, *dataset, records, predictions, evaluation, subgroups,
                                                       command.data, command.split, command.layer, command.cases, *device}));
    if (command.verbosity.report()) fmt::print("{}\n{}\n", evaluation_report(evaluation), out.string());
}

}  // namespace

void add_eval_command(CLI::App& app) {
    CLI::App* eval = app.add_subcommand("eval", "what a checkpoint is worth on a split of a data set");
    auto command = std::make_shared<EvalCommand>();
    add_checkpoint_options(*eval, command->model);
    eval->add_option("--data", command->data, "an HDF5 set")->type_name(value::file)->required();
    eval->add_option("--split", command->split, "which images")->type_name("{train,val,test}")->capture_default_str();
    eval->add_option(
            "--out", command->out,
            "folder for metrics.json, the report, predictions.csv, the confusion matrix, intervals, calibration, curves and "
            "model_card.html")
        ->type_name(value::folder)
        ->required();
    eval->add_option("--cases", command->cases,
                     "right images, and as many wrong ones, that the model card shows with Grad-CAM")
        ->capture_default_str()
        ->check(CLI::Range(0, 100));
    eval->add_option("--layer", command->layer, "of which (default: the last convolution)")->type_name("LAYER");
    eval->add_option("--threads", command->threads, "threads; 0: all cores that this process may use")
        ->capture_default_str()
        ->check(CLI::Range(0, most_threads));
    add_device_option(*eval, command->device);
    add_verbosity_options(*eval, command->verbosity);
    eval->footer("$ xbench eval --checkpoint runs/mine/checkpoints --data set.h5 --out eval");
    eval->callback([command] { run_eval(*command); });
}

}  // namespace xbench
