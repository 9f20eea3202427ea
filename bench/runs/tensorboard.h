// TensorBoard's event files: what `tensorboard --logdir RUN` draws. A file is a sequence of records, each
//   u64 length | u32 masked CRC-32C of the length | bytes | u32 masked CRC-32C of the bytes     (little endian)
// whose bytes are a protocol-buffers message `Event` (tensorflow/core/util/event.proto); the first names the version.
// Masked: the CRC rotated right by 15 bits, plus 0xa282ead8.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "parallel/checkpoint/epoch_result.h"

namespace xbench {

uint32_t crc32c(std::string_view bytes);  // Castagnoli's polynomial, as iSCSI (RFC 3720) has it

// Messages as records, framed.
std::string tensorboard_version_record(double wall_seconds);
std::string tensorboard_scalar_record(double wall_seconds, int64_t step,
                                      const std::vector<std::pair<std::string, double>>& values);
std::string tensorboard_picture_record(double wall_seconds, int64_t step, const std::string& tag, int64_t width,
                                       int64_t height, std::string_view png);

// The scalars of an epoch under the tags loss/train, loss/val, accuracy/val, balanced_accuracy/val, learning_rate; the step
// is the epoch.
std::string tensorboard_epoch_record(double wall_seconds, const EpochResult& epoch);

// RUN/tensorboard/events.out.tfevents.xbench: written anew with the epochs so far, then longer by a record an epoch.
std::filesystem::path tensorboard_file(const std::filesystem::path& run_folder);
void begin_tensorboard(const std::filesystem::path& run_folder, double wall_seconds, std::span<const EpochResult> history);
void append_tensorboard(const std::filesystem::path& run_folder, double wall_seconds, const EpochResult& epoch);

}  // namespace xbench
