// Lines of history.csv.
#include "bench/runs/history_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "core/error.h"
#include "core/files.h"
#include "core/plain_nan.h"
#include "data/import/csv.h"

namespace xbench {
namespace {

std::string line_of(const EpochResult& e, const HistoryColumns& columns) {
    std::string line =
        fmt::format("{},{:.9g},{:.9g},{:.9g},{:.9g},{:.9g},{:.6f},{:.6f},{},{}", e.epoch, plain_nan(e.train_loss),
                    plain_nan(e.val_loss), plain_nan(e.val_accuracy), plain_nan(e.val_balanced_accuracy), e.learning_rate,
                    e.train_seconds, e.val_seconds, e.images, e.best ? 1 : 0);
    if (columns.chunks) line += fmt::format(",{:.9g}", plain_nan(e.chunk_loss));
    if (columns.norms) line += fmt::format(",{:.9g},{:.6g}", plain_nan(e.gradient_norm), e.clipped);
    if (columns.scaling) line += fmt::format(",{:.9g},{}", e.loss_scale, e.skipped_updates);
    return line + "\n";
}

}  // namespace

HistoryColumns history_columns(const TrainConfig& config) {
    return {config.chunk_images > 0, config.clip_norm > 0, config.precision == "fp16"};
}

std::string history_csv(std::span<const EpochResult> history, const HistoryColumns& columns) {
    std::string text =
        "epoch,train_loss,val_loss,val_accuracy,val_balanced_accuracy,learning_rate,train_seconds,val_seconds,images,best";
    if (columns.chunks) text += ",chunk_loss";
    if (columns.norms) text += ",gradient_norm,clipped";
    if (columns.scaling) text += ",loss_scale,skipped_updates";
    text += "\n";
    for (const EpochResult& epoch : history) text += line_of(epoch, columns);
    return text;
}

void append_history(const std::filesystem::path& file, const EpochResult& epoch, const HistoryColumns& columns) {
    const std::string line = line_of(epoch, columns);
    const int descriptor = open(file.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    const bool written = descriptor >= 0 && write(descriptor, line.data(), line.size()) == static_cast<ssize_t>(line.size());
    const int error = errno;
    if (descriptor >= 0) close(descriptor);
    if (!written) throw Error(std::strerror(error), file.string(), "is the disk full?");
}

namespace {

EpochResult epoch_in(const std::vector<std::string>& header, const std::vector<std::string>& fields) {
    EpochResult epoch;
    for (size_t i = 0; i < header.size(); ++i) {
        const double number = std::strtod(fields[i].c_str(), nullptr);
        const std::string& name = header[i];
        if (name == "epoch") epoch.epoch = static_cast<int64_t>(number);
        if (name == "train_loss") epoch.train_loss = number;
        if (name == "val_loss") epoch.val_loss = number;
        if (name == "val_accuracy") epoch.val_accuracy = number;
        if (name == "val_balanced_accuracy") epoch.val_balanced_accuracy = number;
        if (name == "learning_rate") epoch.learning_rate = number;
        if (name == "train_seconds") epoch.train_seconds = number;
        if (name == "val_seconds") epoch.val_seconds = number;
        if (name == "images") epoch.images = static_cast<int64_t>(number);
        if (name == "best") epoch.best = number > 0;
    }
    return epoch;
}

}  // namespace

std::vector<EpochResult> read_history(const std::filesystem::path& file) {
    std::vector<EpochResult> history;
    const std::optional<std::string> text = file_text(file);
    if (!text) return history;
    try {
        const CsvTable table = parse_csv(*text, file.string());
        for (const auto& row : table.rows)
            if (const EpochResult epoch = epoch_in(table.header, row); epoch.epoch > 0) history.push_back(epoch);
    } catch (const Error&) {  // somebody else's table
        return {};
    }
    return history;
}

Json history_json(std::span<const EpochResult> history) {
    Json json{{"seconds", Json::array()},
              {"val_accuracy", Json::array()},
              {"val_loss", Json::array()},
              {"train_loss", Json::array()}};
    const auto finite = [](double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); };
    double seconds = 0;
    for (const EpochResult& epoch : history) {
        seconds += epoch.train_seconds + epoch.val_seconds;
        json["seconds"].push_back(seconds);
        json["val_accuracy"].push_back(finite(epoch.val_accuracy));
        json["val_loss"].push_back(finite(epoch.val_loss));
        json["train_loss"].push_back(finite(epoch.train_loss));
    }
    return json;
}

}  // namespace xbench
