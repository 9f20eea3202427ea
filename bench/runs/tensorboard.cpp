// Protocol buffers by hand: five fields of two wire types need no library.
#include "bench/runs/tensorboard.h"

#include <array>
#include <bit>
#include <cstring>
#include <fstream>

#include "bench/base/record.h"
#include "core/error.h"
#include "core/files.h"

namespace xbench {
namespace {

constexpr std::array<uint32_t, 256> crc_table = [] {
    std::array<uint32_t, 256> table{};
    for (uint32_t byte = 0; byte < 256; ++byte) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) ? 0x82F63B78u : 0);
        table[byte] = crc;
    }
    return table;
}();

template <class T>
std::string little_endian(T value) {
    static_assert(std::endian::native == std::endian::little);
    std::string bytes(sizeof value, '\0');
    std::memcpy(bytes.data(), &value, sizeof value);
    return bytes;
}

uint32_t masked(uint32_t crc) { return (crc >> 15 | crc << 17) + 0xa282ead8u; }

std::string framed(const std::string& message) {
    const std::string length = little_endian(uint64_t{message.size()});
    return length + little_endian(masked(crc32c(length))) + message + little_endian(masked(crc32c(message)));
}

std::string varint(uint64_t value) {
    std::string bytes;
    for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
    return bytes + static_cast<char>(value);
}

// A field's number and wire type, then its value.
std::string number_field(int field, int64_t value) {
    return varint(static_cast<uint64_t>(field) << 3) + varint(static_cast<uint64_t>(value));
}
std::string bytes_field(int field, std::string_view bytes) {
    return varint(static_cast<uint64_t>(field) << 3 | 2) + varint(bytes.size()) + std::string(bytes);
}
std::string double_field(int field, double value) {
    return varint(static_cast<uint64_t>(field) << 3 | 1) + little_endian(value);
}
std::string float_field(int field, float value) {
    return varint(static_cast<uint64_t>(field) << 3 | 5) + little_endian(value);
}

// Event{wall_time 1, step 2, summary 5}
std::string event_record(double wall_seconds, int64_t step, const std::string& summary) {
    return framed(double_field(1, wall_seconds) + number_field(2, step) + bytes_field(5, summary));
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
    uint32_t crc = ~0u;
    for (const char byte : bytes) crc = crc >> 8 ^ crc_table[(crc ^ static_cast<uint8_t>(byte)) & 0xFF];
    return ~crc;
}

std::string tensorboard_version_record(double wall_seconds) {
    return framed(double_field(1, wall_seconds) + bytes_field(3, "brain.Event:2"));
}

// Summary{value 1}, Value{tag 1, simple_value 2}
std::string tensorboard_scalar_record(double wall_seconds, int64_t step,
                                      const std::vector<std::pair<std::string, double>>& values) {
    std::string summary;
    for (const auto& [tag, value] : values)
        summary += bytes_field(1, bytes_field(1, tag) + float_field(2, static_cast<float>(value)));
    return event_record(wall_seconds, step, summary);
}

// Value{tag 1, image 4}, Image{height 1, width 2, colorspace 3, encoded_image_string 4}
std::string tensorboard_picture_record(double wall_seconds, int64_t step, const std::string& tag, int64_t width,
                                       int64_t height, std::string_view png) {
    const std::string image = number_field(1, height) + number_field(2, width) + number_field(3, 3) + bytes_field(4, png);
    return event_record(wall_seconds, step, bytes_field(1, bytes_field(1, tag) + bytes_field(4, image)));
}

std::string tensorboard_epoch_record(double wall_seconds, const EpochResult& epoch) {
    return tensorboard_scalar_record(wall_seconds, epoch.epoch,
                                     {{"loss/train", epoch.train_loss},
                                      {"loss/val", epoch.val_loss},
                                      {"accuracy/val", epoch.val_accuracy},
                                      {"balanced_accuracy/val", epoch.val_balanced_accuracy},
                                      {"learning_rate", epoch.learning_rate}});
}

std::filesystem::path tensorboard_file(const std::filesystem::path& run_folder) {
    return run_folder / "tensorboard" / "events.out.tfevents.xbench";
}

void begin_tensorboard(const std::filesystem::path& run_folder, double wall_seconds, std::span<const EpochResult> history) {
    const std::filesystem::path file = tensorboard_file(run_folder);
    make_folders(file.parent_path());
    std::string bytes = tensorboard_version_record(wall_seconds);
    for (const EpochResult& epoch : history) bytes += tensorboard_epoch_record(wall_seconds, epoch);
    write_text(file, bytes);
}

void append_tensorboard(const std::filesystem::path& run_folder, double wall_seconds, const EpochResult& epoch) {
    const std::filesystem::path path = tensorboard_file(run_folder);
    const std::string bytes = tensorboard_epoch_record(wall_seconds, epoch);
    std::ofstream file(path, std::ios::binary | std::ios::app);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (!file.flush()) throw Error("cannot be written", path.string(), "is the disk full?");
}

}  // namespace xbench
