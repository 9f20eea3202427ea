// Lines of history.csv.
#include "bench/runs/history_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace xbench {
namespace {

std::string line_of(const EpochResult& e) {
    return fmt::format("{},{:.9g},{:.9g},{:.9g},{:.9g},{:.9g},{:.6f},{:.6f},{},{},{:.9g},{}\n", e.epoch, e.train_loss,
                       e.val_loss, e.val_accuracy, e.val_balanced_accuracy, e.learning_rate, e.train_seconds, e.val_seconds,
                       e.images, e.best ? 1 : 0, e.loss_scale, e.skipped_updates);
}

}  // namespace

std::string history_csv(std::span<const EpochResult> history) {
    std::string text =
        "epoch,train_loss,val_loss,val_accuracy,val_balanced_accuracy,learning_rate,train_seconds,val_seconds,images,best,"
        "loss_scale,skipped_updates\n";
    for (const EpochResult& epoch : history) text += line_of(epoch);
    return text;
}

void append_history(const std::filesystem::path& file, const EpochResult& epoch) {
    const std::string line = line_of(epoch);
    const int descriptor = open(file.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    const bool written = descriptor >= 0 && write(descriptor, line.data(), line.size()) == static_cast<ssize_t>(line.size());
    const int error = errno;
    if (descriptor >= 0) close(descriptor);
    if (!written) throw Error(std::strerror(error), file.string(), "is the disk full?");
}

}  // namespace xbench
