// Lines of history.csv.
#include "bench/runs/history_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.h"
#include "core/plain_nan.h"

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

}  // namespace xbench
