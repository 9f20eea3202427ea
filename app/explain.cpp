// xbench explain: where in an image a network finds what speaks for a class, as a picture (Grad-CAM, eval/gradcam.h).
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <set>

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
#include "bench/draw/heat_overlay.h"
#include "core/durable_file.h"
#include "core/error.h"
#include "core/files.h"
#include "core/nearest.h"
#include "data/import/csv.h"
#include "data/set/h5.h"
#include "eval/gradcam.h"
#include "kernels/cuda/devices.h"
#include "parallel/train/explainer.h"

namespace xbench {
namespace {

constexpr int64_t least_side = 256;           // of a picture, in pixels
constexpr size_t longest_name = 200;          // of a file in bytes: file systems take 255
constexpr const char* table = "explain.csv";  // of a folder's pictures

struct ExplainCommand {
    CheckpointOptions model;
    std::string image, data, split, out, of_class, layer, device = "cpu";
    std::vector<int64_t> indices;  // of the images of `data`
    bool raw = false;
    int threads = 0;
    Verbosity verbosity;
    const std::string& source() const { return data.empty() ? image : data; }
    // Whether it makes one picture, not a folder of them.
    bool one_picture() const { return data.empty() ? !is_folder(image) : indices.size() == 1; }
};

std::filesystem::path raw_file(std::filesystem::path picture) { return picture.replace_extension(".npy"); }

// numpy's format 1.0: what numpy.load() reads.
std::string npy(const HeatMap& heat) {
    std::string header =
        fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", heat.rows, heat.columns);
    constexpr size_t before = 10, alignment = 64;
    header.append(alignment - (before + header.size() + 1) % alignment, ' ');
    header += '\n';
    std::string bytes("\x93NUMPY\x01\x00", 8);
    bytes += static_cast<char>(header.size() & 0xff);
    bytes += static_cast<char>(header.size() >> 8);
    bytes += header;
    bytes.append(reinterpret_cast<const char*>(heat.map.data()), heat.map.size() * sizeof(float));
    return bytes;
}

// By name or by number; -1: the most probable one of each image.
int64_t class_from(const std::string& text, const std::vector<std::string>& names) {
    if (text.empty()) return -1;
    const auto found = std::find(names.begin(), names.end(), text);
    if (found != names.end()) return found - names.begin();
    const bool number = std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); });
    if (number && text.size() < 10 && std::atoll(text.c_str()) < static_cast<int64_t>(names.size()))
        return std::atoll(text.c_str());
    const std::string close = nearest(text, names);
    std::string all;
    for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
    throw UsageError("the model has no class " + text, "--class",
                     close.empty() ? "its classes are " + all : "did you mean " + close + "?");
}

std::vector<HeatQuestion> questions_for(const Predictions& predictions, int64_t wanted) {
    std::vector<HeatQuestion> questions;
    for (size_t i = 0; i < predictions.samples.size(); ++i) {
        const float* row = predictions.probabilities.data() + i * static_cast<size_t>(predictions.classes);
        const int64_t most = std::max_element(row, row + predictions.classes) - row;
        questions.push_back({predictions.samples[i], wanted < 0 ? most : wanted});
    }
    return questions;
}

// A file name for each image that no other has.
std::string picture_name(std::string id, std::set<std::string>& taken) {
    std::replace(id.begin(), id.end(), '/', '_');
    if (id.size() > longest_name) id.erase(0, id.size() - longest_name);
    while (!id.empty() && (static_cast<unsigned char>(id[0]) & 0xc0) == 0x80) id.erase(0, 1);  // half a letter of UTF-8
    std::string name = id + ".png";
    for (int i = 2; !taken.insert(name).second; ++i) name = fmt::format("{}_{}.png", id, i);
    return name;
}

void write_picture(const ExplainCommand& command, const Dataset& images, const HeatMap& heat,
                   const std::filesystem::path& file) {
    const DatasetInfo& info = images.info();
    std::vector<float> pixels(static_cast<size_t>(info.channels * info.height * info.width));
    const int64_t sample = heat.question.sample;
    images.read(std::span(&sample, 1), pixels.data());
    const ShownImage shown{pixels, info.channels, info.height, info.width};
    const std::vector<uint8_t> png = overlay_png(shown, heat.map, heat.rows, heat.columns, enlargement(shown, least_side));
    write_durably(file, {reinterpret_cast<const char*>(png.data()), png.size()});
    if (command.raw) write_durably(raw_file(file), npy(heat));
}

class Output {
public:
    // Tried before the work.
    explicit Output(const ExplainCommand& command) : command_(command), folder_(!command.one_picture()) {
        if (folder_) {
            make_folders(command.out);
            try_output(std::filesystem::path(command.out) / table);
            return;
        }
        if (std::filesystem::path(command.out).extension() != ".png")
            throw UsageError("the picture is a PNG", command.out, "give it a name that ends in .png");
        try_output(command.out);
        if (command.raw) try_output(raw_file(command.out));
    }

    void write(const Dataset& images, const Truth& truth, const std::vector<std::string>& classes,
               const Predictions& predictions, const std::vector<HeatMap>& maps) const {
        std::string csv = "id,label,class,probability,logit,map_maximum,picture\n";
        std::set<std::string> taken{table};
        for (size_t i = 0; i < maps.size(); ++i) {
            const HeatMap& heat = maps[i];
            const auto shown = static_cast<size_t>(heat.question.of_class);
            const std::string& id = images.ids()[static_cast<size_t>(heat.question.sample)];
            const std::filesystem::path file = folder_ ? command_.out / std::filesystem::path(picture_name(id, taken))
                                                       : std::filesystem::path(command_.out);
            write_picture(command_, images, heat, file);
            const float p = predictions.probabilities[i * static_cast<size_t>(predictions.classes) + shown];
            const float most = *std::max_element(heat.map.begin(), heat.map.end());
            csv +=
                fmt::format("{},{},{},{:.9g},{:.9g},{:.9g},{}\n", csv_field(id), csv_field(truth.of(heat.question.sample)),
                            csv_field(classes[shown]), p, heat.logit, most, csv_field(file.filename().string()));
            say(file.string(), classes[shown], p, most);
        }
        if (folder_) write_text(std::filesystem::path(command_.out) / table, csv);
    }

private:
    void say(const std::string& file, const std::string& shown, float probability, float most) const {
        if (command_.verbosity.report() && (!folder_ || most == 0))
            fmt::print("{}: {} {:.4f}{}\n", file, shown, probability,
                       most > 0 ? "" : "; nothing in this layer speaks for it: the map is zero");
    }
    const ExplainCommand& command_;
    const bool folder_;
};

void check_source(const ExplainCommand& command) {
    if (command.image.empty() == command.data.empty())
        throw UsageError("wants images, or a data set", "xbench explain", "give either --image or --data");
    if (!path_exists(command.source()))
        throw UsageError("is not there", command.source(), "name an image file, a folder or a data set");
    const bool files = is_image_source(command.source());
    if (command.data.empty() && !files)
        throw UsageError("is a data set", command.image, "give it as --data, with --index or --split");
    if (!command.data.empty() && files) throw UsageError("is no data set", command.data, "give image files as --image");
    if (command.data.empty() && !(command.split.empty() && command.indices.empty()))
        throw UsageError("image files have no splits and no order", command.split.empty() ? "--index" : "--split",
                         "leave it out");
}

// The images of the set that are asked about, ascending, each once.
std::vector<int64_t> chosen_images(const ExplainCommand& command, const Dataset& images) {
    const int64_t count = images.info().count;
    std::vector<int64_t> chosen = command.indices;
    if (!command.split.empty()) {
        chosen = images.indices(split_from(command.split));
    } else if (chosen.empty()) {
        chosen.resize(static_cast<size_t>(count));
        std::iota(chosen.begin(), chosen.end(), int64_t{0});
    }
    for (const int64_t index : chosen)
        if (index < 0 || index >= count)
            throw UsageError(fmt::format("the set has no image {}", index), "--index",
                             fmt::format("its images are 0 to {}", count - 1));
    if (chosen.empty()) throw Error("no images to explain", command.source(), "choose another --split or data set");
    std::sort(chosen.begin(), chosen.end());
    chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
    return chosen;
}

void explain_images(const ExplainCommand& command, const LoadedModel& model, const Dataset& source, const Output& output) {
    const std::vector<std::string>& classes = model.description.class_names;
    const int64_t wanted = class_from(command.of_class, classes);
    check_images_fit(model, source.info());
    const WithoutLabels images(source, model);
    const std::vector<int64_t> chosen = chosen_images(command, images);
    const std::unique_ptr<Device> device = make_device(command.device, command.threads);
    ProgressLine line(stderr, !command.verbosity.progress());
    const auto start = std::chrono::steady_clock::now();
    const Predictions predictions = predict(model.graph, model.weights, model.description, images, chosen, *device);
    const std::vector<HeatMap> maps = explain(model.graph, model.weights, model.description, images,
                                              questions_for(predictions, wanted), command.layer, *device, show_images(line));
    line.finish();
    detail(command.verbosity, details_of(model, predictions.count(), *device, start));
    // Of image files the labels that their import gave them say nothing.
    const Truth truth = command.data.empty() ? Truth{} : Truth{source.labels(), source.targets(), source.info().class_names};
    output.write(images, truth, classes, predictions, maps);
    if (command.verbosity.report() && !command.one_picture())
        fmt::print("{}: {} images\n", command.out, predictions.count());
}

void run_explain(const ExplainCommand& given) {
    refuse_several("xbench explain", "start it alone");
    ExplainCommand command = given;
    command.threads = threads_to_use(command.threads);
    check_source(command);
    std::unique_ptr<Dataset> images = command.data.empty() ? nullptr : open_h5(command.data);
    const LoadedModel model = load_model(command.model, images ? &images->info() : nullptr);
    note(command.verbosity, model.note);
    class_from(command.of_class, model.description.class_names);  // what it refuses is said before the work
    gradcam_layer(model.graph, command.layer);
    if (images) chosen_images(command, *images);
    const Output output(command);
    if (!images) images = import_files({command.image, command.threads, command.verbosity}, model);
    explain_images(command, model, *images, output);
}

}  // namespace

void add_explain_command(CLI::App& app) {
    CLI::App* explain = app.add_subcommand("explain", "where an image shows what speaks for a class (Grad-CAM)");
    auto command = std::make_shared<ExplainCommand>();
    add_checkpoint_options(*explain, command->model);
    CLI::Option* image = explain->add_option("--image", command->image, "a PNG, JPEG or DICOM file, or a folder of them")
                             ->type_name(value::path);
    explain->add_option("--data", command->data, "in place of --image: an HDF5 set")
        ->type_name(value::file)
        ->excludes(image);
    CLI::Option* split = explain->add_option("--split", command->split, "which images of the set (default: all)")
                             ->type_name("{train,val,test}");
    explain->add_option("--index", command->indices, "which images of the set, by their places in it, from 0")
        ->delimiter(',')
        ->type_name("I")
        ->excludes(split);
    explain
        ->add_option("--out", command->out,
                     "the picture (PNG); of several images a folder, with one picture each and explain.csv")
        ->type_name(value::path)
        ->required();
    explain->add_option("--class", command->of_class, "its name or number (default: the most probable of each image)")
        ->type_name("CLASS");
    explain->add_option("--layer", command->layer, "whose values are weighed (default: the last convolution)")
        ->type_name("LAYER");
    explain->add_flag("--raw", command->raw,
                      "the map itself, too, as the layer has it: not enlarged or divided (.npy beside the picture)");
    explain->add_option("--threads", command->threads, "threads; 0: all cores that this process may use")
        ->capture_default_str()
        ->check(CLI::Range(0, most_threads));
    add_device_option(*explain, command->device);
    add_verbosity_options(*explain, command->verbosity);
    explain->footer(
        "Inferno's colours over the image: the brighter, the more the place speaks for the class. The map says what a "
        "network "
        "uses, not whether it is right to.\n\n"
        "$ xbench explain --checkpoint runs/a/checkpoints --image a.png --out heat.png\n"
        "$ xbench explain --checkpoint runs/a/checkpoints --data set.h5 \\\n"
        "  --split test --out maps\n"
        "$ xbench models pneumonia_cnn");
    explain->callback([command] { run_explain(*command); });
}

}  // namespace xbench
