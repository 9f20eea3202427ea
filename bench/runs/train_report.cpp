// The files and the record of one training run.
#include "bench/runs/train_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <numeric>
#include <set>
#include <sstream>

#include "bench/base/change_points.h"
#include "bench/base/machine_state.h"
#include "bench/base/measure.h"
#include "bench/runs/arrival_files.h"
#include "bench/runs/charts.h"
#include "bench/runs/history_file.h"
#include "bench/runs/memory_report.h"
#include "core/files.h"
#include "core/gather.h"
#include "core/hash.h"
#include "core/progress.h"
#include "models/registry.h"
#include "models/training_graph.h"
#include "parallel/train/dataset_model.h"
#include "parallel/train/learning_rate.h"
#include "parallel/train/planted_loss.h"
#include "parallel/train/probe_kind.h"

namespace xbench {
namespace {

std::string boot_id() {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string id;
    std::getline(file, id);
    return id;
}

int64_t sum_from(const std::vector<int64_t>& values, size_t first) {
    return std::accumulate(values.begin() + static_cast<std::ptrdiff_t>(std::min(first, values.size())), values.end(),
                           int64_t{0});
}

// Of the whole run. What a killed process had done since its last checkpoint was done again, and is not in it.
std::string time_text(const TrainResult& result) {
    std::string text = fmt::format(
        "total       {:10.3f} s  ({})\n"
        "training    {:10.3f} s  {} images in {} epochs, {:.0f} images/s\n"
        "validation  {:10.3f} s\n"
        "test        {:10.3f} s\n",
        result.total_seconds, duration_text(result.total_seconds), result.train_seconds, result.images_trained,
        result.history.size(),
        result.train_seconds > 0 ? static_cast<double>(result.images_trained) / result.train_seconds : 0, result.val_seconds,
        result.test_seconds);
    if (result.resumed_at > 0)
        text += fmt::format("Resumed at step {}: of the total, {:.3f} s were before.\n", result.resumed_at,
                            result.earlier_seconds);
    return text;
}

bool is_weight(const Value& value) {  // learned or frozen
    return value.role == Role::parameter || (value.role == Role::constant && !value.trainable);
}

int64_t skipped_updates(const std::vector<EpochResult>& history) {
    int64_t skipped = 0;
    for (const EpochResult& epoch : history) skipped += epoch.skipped_updates;
    return skipped;
}

std::string precision_text(const std::string& precision, const TrainResult& result) {
    if (precision != "fp16") return fmt::format("precision {}\n", precision);
    return fmt::format("precision fp16, loss scale {:.0f} in the end, {} updates skipped as gradients overflowed\n",
                       result.history.empty() ? 0 : result.history.back().loss_scale, skipped_updates(result.history));
}

// As Keras prints it: layer, output shape, parameters.
std::string model_text(const Config& config, const Dataset& dataset) {
    Graph graph = build_model(model_for(config.model, dataset.info()));
    if (!config.train.freeze.empty()) freeze(graph, config.train.freeze);
    const auto value = [&](ValueId id) -> const Value& { return graph.value(id); };
    std::string text = fmt::format("{}  input {}\n\n{:<12} {:<24} {:<20} {:>12}\n", graph.name,
                                   to_string(value(graph.input).shape), "layer", "type", "output", "parameters");
    for (const Node& node : graph.nodes) {
        int64_t parameters = 0;
        for (const ValueId id : node.in)
            if (id != no_value && is_weight(value(id))) parameters += value(id).shape.elements();
        text += fmt::format("{:<12} {:<24} {:<20} {:>12}\n", node.name, name_of(node.op),
                            to_string(value(node.out[0]).shape), parameters);
    }
    int64_t parameters = 0, statistics = 0, trainable = 0;
    for (const ValueId id : graph.state)
        (value(id).role == Role::buffer ? statistics : parameters) += value(id).shape.elements();
    for (const ValueId id : graph.parameters) trainable += value(id).shape.elements();
    text += fmt::format("\nparameters {}\n", parameters);
    if (trainable < parameters) text += fmt::format("trainable {}\n", trainable);
    return text + fmt::format("running statistics {}\n", statistics);
}

// Of rank 0.
std::string memory_text(const TrainResult& result) {
    std::string text = "\nmemory of a rank\n\n" + memory_table({{"predicted", result.memory_predicted},
                                                                {"in a step", result.memory_in_steps},
                                                                {"highest of each", result.memory_highest}});
    return text +
           "\nWhile steps run; the highest also has evaluations and checkpoints. Weights kept for the best epoch are "
           "besides.\n";
}

Json memory_json(const TrainRun& run) {
    return Json{{"ranks", run.ranks},
                {"stage", run.stage},
                {"unit", "bytes of rank 0"},
                {"predicted", to_json(run.result.memory_predicted)},
                {"in_step", to_json(run.result.memory_in_steps)},
                {"highest", to_json(run.result.memory_highest)}};
}

constexpr const char* no_test_split = "the data set has no test split, so there are no test scores";

// Scores of the test split, where there is one.
void add_test_counters(const Metrics& test, Json& counters) {
    counters["test_images"] = test.count;
    if (test.count == 0) return;
    counters["test_accuracy"] = test.accuracy;
    counters["test_balanced_accuracy"] = test.balanced_accuracy;
    counters["test_majority_baseline"] = test.majority_baseline;
    counters["test_loss"] = test.loss;
}

Json metrics_json(const TrainRun& run) {
    Json json = run.result.test.count > 0 ? to_json(run.result.test) : Json{{"accuracy", nullptr}, {"loss", nullptr}};
    if (run.result.test.count == 0) json["note"] = no_test_split;
    json["best_epoch"] = run.result.best_epoch;
    json["weights_hash"] = run.result.weights_hash;
    json["final_weights_hash"] = run.result.final_weights_hash;
    json["val"] = to_json(run.result.val);
    const std::string& leaks = run.dataset.info().leaks;
    json["leaks"] = leaks.empty() ? Json(nullptr) : Json(leaks);  // null: nobody has looked
    return json;
}

}  // namespace

std::string report_of(const TrainResult& result) {
    if (result.test.count > 0) return classification_report(result.test);
    return fmt::format("Validation split ({}).\n\n{}", no_test_split, classification_report(result.val));
}

namespace {

// What decides in which epoch a training ends.
Json stopping_rule(const TrainConfig& train) {
    return Json{{"patience", train.patience},
                {"early_stopping", train.early_stopping},
                {"min_delta", train.min_delta},
                {"baseline", train.baseline},
                {"start_from_epoch", train.start_from_epoch}};
}

// As far as the record knows: those of older versions lack some of it.
bool says_the_same(const Json& params, const Json& rule) {
    for (const auto& [key, value] : rule.items())
        if (const auto told = params.find(key); told != params.end() && *told != value) return false;
    return true;
}

}  // namespace

std::optional<Record> finished_record(const std::filesystem::path& folder, const TrainConfig& config) {
    if (!path_exists(folder / "records.jsonl")) return std::nullopt;
    for (Record& record : read_records(folder / "records.jsonl")) {
        if (record.kind != "rep" || !says_the_same(record.params, Json{{"restore_best", config.restore_best}})) continue;
        const bool all_epochs = record.counters.value("epochs_run", int64_t{0}) >= config.epochs;
        const bool same_end = record.params.value("epochs", int64_t{0}) >= config.epochs &&
                              says_the_same(record.params, stopping_rule(config));
        if (all_epochs || same_end) return std::move(record);
    }
    return std::nullopt;
}

Json to_json(const RankInfo& rank) {
    Json json{{"rank", rank.rank},           {"host", rank.host},
              {"machine", rank.machine},     {"cpuset", rank.binding.cpuset},
              {"bound", rank.binding.bound}, {"oversubscribed", rank.binding.oversubscribed}};
    if (rank.binding.gpu.empty()) return json;
    json["gpu"] = rank.binding.gpu;  // its PCI address
    json["cpuset_near_gpu"] = rank.binding.near_gpu.empty() ? Json() : Json(rank.binding.near_gpu);
    return json;
}

RankInfo this_rank(int rank, const Binding& binding) { return {rank, query_hardware().host, boot_id(), binding}; }

Json gather_ranks(ControlPlane& communicator, const Binding& binding) {
    const std::string mine = json_text(to_json(this_rank(communicator.rank(), binding))) + "\n";
    Json ranks = Json::array();
    std::stringstream lines(gather_text(communicator, mine));
    for (std::string line; std::getline(lines, line);) ranks.push_back(parse_json(line).value_or(Json::object()));
    return ranks;
}

bool cores_are_shared(const Json& per_rank, int threads) {
    std::map<std::string, std::set<int>> taken, loose;  // cores by machine: of ranks that are bound, of those that are not
    std::map<std::string, size_t> loose_threads;
    for (const Json& rank : per_rank) {
        if (rank.value("oversubscribed", false)) return true;
        const std::string machine = rank.value("machine", "");
        const std::vector<int> cpus = cpus_in(rank.value("cpuset", ""));
        if (!rank.value("bound", false)) {
            loose[machine].insert(cpus.begin(), cpus.end());
            loose_threads[machine] += static_cast<size_t>(threads);
            continue;
        }
        if (cpus.size() < static_cast<size_t>(threads)) return true;
        for (const int cpu : cpus)
            if (!taken[machine].insert(cpu).second) return true;
    }
    return std::any_of(loose.begin(), loose.end(), [&](const auto& machine) {
        return !machine.second.empty() && loose_threads[machine.first] > machine.second.size();
    });
}

// The steps behind the warm-up.
struct TimedSteps {
    explicit TimedSteps(const StepTimes& times)
        : skip(warmup_steps(times.step_ns.size())),
          steps(times.step_ns.size() - skip),
          seconds(static_cast<double>(sum_from(times.step_ns, skip)) * 1e-9) {}
    double ms_a_step(const std::vector<int64_t>& ns) const {
        return steps > 0 ? static_cast<double>(sum_from(ns, skip)) * 1e-6 / static_cast<double>(steps) : 0;
    }
    // Of the time of these steps.
    double share_of_steps(const std::vector<int64_t>& ns) const {
        return seconds > 0 ? static_cast<double>(sum_from(ns, skip)) * 1e-9 / seconds : 0;
    }
    size_t skip, steps;
    double seconds;
};

Json ms_of(const std::vector<double>& ns) {
    Json ms = Json::array();
    for (const double time : ns) ms.push_back(time * 1e-6);
    return ms;
}

Json params_of(const TrainRun& run) {
    const TrainConfig& train = run.config.train;
    Json params = stopping_rule(train);
    params["restore_best"] = train.restore_best;
    params.update(Json{{"model", run.config.model.name},
                       {"trainer", run.trainer},
                       {"device", run.device},
                       {"ranks", run.ranks},
                       {"threads", run.threads},
                       {"stage", run.stage},
                       {"global_batch", train.batch_size},
                       {"epochs", train.epochs},
                       {"seed", train.seed},
                       {"precision", train.precision},
                       {"reduction", train.reduction},
                       {"virtual_ranks", train.virtual_ranks},
                       {"learning_rate", scaled_learning_rate(train)},
                       {"lr_scaling", train.lr_scaling},
                       {"base_batch", train.base_batch},
                       {"warmup_steps", train.warmup_steps},
                       {"lr_schedule", train.lr_schedule},
                       {"batchnorm", train.batchnorm},
                       {"accumulate", train.accumulate},
                       {"compression", train.compression},
                       {"isa", run.result.isa},
                       {"communicator", run.result.communicator},
                       {"overlap", run.result.overlap},
                       // Of the processors that efficiency counts, as it has no core of its own.
                       {"communication_threads", run.result.overlap == "thread" ? run.ranks : 0},
                       {"slow_link_mb_per_s", run.config.scaling.slow_link_mb_per_s},
                       {"slow_link_latency_us", run.config.scaling.slow_link_latency_us}});
    return params;
}

void add_arrival_counters(const TrainRun& run, Json& counters) {
    const TrainResult& result = run.result;
    if (!result.arrivals || run.emulated) return;
    counters["delays"] = delays_json(*result.arrivals);
    if (run.config.train.arrivals != "alternate") return;
    const auto cost = logging_cost(result.times.step_ns, result.times.step_images, result.resumed_at + 1);
    counters["arrivals_cost"] = cost ? to_json(*cost) : Json(nullptr);
}

Json counters_of(const TrainRun& run, const TimedSteps& timed) {
    const TrainResult& result = run.result;
    Json counters{{"steps", result.times.step_ns.size()},
                  {"warmup_steps", timed.skip},
                  {"step_ms", timed.ms_a_step(result.times.step_ns)},
                  {"between_steps_ns", sum_from(result.times.between_steps_ns, 0)},
                  {"load_wait_ms", timed.ms_a_step(result.times.load_ns)},
                  {"load_wait_share", timed.share_of_steps(result.times.load_ns)},
                  {"exposed_comm_ms", timed.ms_a_step(result.times.comm_ns)},
                  {"rank_skew_ms", timed.ms_a_step(result.times.skew_ns)},
                  {"useful_ms", ms_of(result.times.useful_of_rank_ns)},
                  {"useful_slowest_ms", timed.ms_a_step(result.times.useful_ns)},
                  {"gradient_bytes", result.gradient_bytes},
                  {"activation_bytes", result.activation_bytes},
                  {"images_trained", result.images_trained},
                  {"train_seconds", result.train_seconds},
                  {"val_seconds", result.val_seconds},
                  {"test_seconds", result.test_seconds},
                  {"total_seconds", result.total_seconds},
                  {"wall_start_ms", run.wall_start_ms},
                  {"wall_stop_ms", run.wall_stop_ms},
                  {"parameters", result.parameters},
                  {"memory_bytes", result.memory_in_steps.total()},
                  {"epochs_run", result.history.size()},
                  {"best_epoch", result.best_epoch},
                  {"train_loss", result.history.empty() ? 0 : result.history.back().train_loss},
                  {"val_accuracy", result.val.accuracy},
                  {"final_weights_hash", result.final_weights_hash},
                  {"warmup", name_of(classify_warmup(result.times.step_ns).warmup)},
                  {"cores_shared", cores_are_shared(run.per_rank, run.threads)}};
    if (run.config.train.precision == "fp16") {
        counters["loss_scale"] = result.history.empty() ? 0 : result.history.back().loss_scale;
        counters["skipped_updates"] = skipped_updates(result.history);
    }
    counters.update(run.processor_counters);
    if (!is_probe(run.config.train)) {
        counters["history"] = history_json(result.history);
        counters["memory"] = memory_json(run);
        add_test_counters(result.test, counters);
        add_arrival_counters(run, counters);
        return counters;
    }
    for (const char* key : {"best_epoch", "train_loss", "val_accuracy", "final_weights_hash"}) counters.erase(key);
    return counters;
}

Record train_record(const TrainRun& run) {
    const TrainResult& result = run.result;
    const TimedSteps timed(result.times);
    Record record;
    record.bench = "train";
    record.rep = 1;
    record.unit = "images/s";
    record.value =
        timed.seconds > 0 ? static_cast<double>(sum_from(result.times.step_images, timed.skip)) / timed.seconds : 0;
    record.samples_ns = result.times.step_ns;
    record.per_rank = run.per_rank;
    record.steady = is_steady(std::span(result.times.step_ns).subspan(timed.skip));
    record.energy_j = run.energy_j;
    record.energy_why = run.energy_why;
    record.env_id = run.env_id;
    record.config_sha = hash_hex(json_text(to_json(run.config)));
    record.data_sha = run.dataset.digest();
    record.weights_hash = result.weights_hash;
    record.params = params_of(run);
    if (run.emulated) record.params["emulated"] = true;
    if (const std::string planted = planted_text(); !planted.empty()) record.params["planted"] = planted;
    if (is_probe(run.config.train)) {
        record.kind = "probe";
        record.params["probe"] = run.config.train.probe;
        record.weights_hash.clear();
    }
    record.counters = counters_of(run, timed);
    return record;
}

void write_probe_files(const TrainRun& run, const std::filesystem::path& folder) {
    const Record record = train_record(run);
    append_records(folder / "records.jsonl", std::span(&record, 1));
}

void write_train_files(const TrainRun& run, const std::filesystem::path& folder) {
    const std::vector<std::string>& classes = run.dataset.info().class_names;
    write_text(folder / "history.csv", history_csv(run.result.history, history_columns(run.config.train)));
    if (!run.result.history.empty()) write_text(folder / "curves.svg", training_svg(run.result.history));
    write_text(folder / "metrics.json", json_text(metrics_json(run), 2) + "\n");
    write_text(folder / "classification_report.txt", report_of(run.result));
    if (run.result.test.count > 0) write_text(folder / "confusion_matrix.csv", confusion_csv(run.result.test, classes));
    write_text(folder / "model_summary.txt", model_text(run.config, run.dataset) +
                                                 precision_text(run.config.train.precision, run.result) +
                                                 memory_text(run.result));
    write_text(folder / "memory.json", json_text(memory_json(run), 2) + "\n");
    write_text(folder / "training_time.txt", time_text(run.result));
    if (run.result.arrivals && !run.emulated) {
        write_text(folder / "trace.json", json_text(trace_json(*run.result.arrivals)) + "\n");
        if (run.ranks > 1) write_text(folder / "arrivals.csv", arrivals_csv(*run.result.arrivals));
    }
    const Record record = train_record(run);
    append_records(folder / "records.jsonl", std::span(&record, 1));
}

}  // namespace xbench
