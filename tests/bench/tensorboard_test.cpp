// TensorBoard's files byte by byte: check values of the CRC, and records read back by the format's own rules.
#include "bench/runs/tensorboard.h"

#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

namespace xbench {
namespace {

TEST(Crc32c, ValuesOfRfc3720) {
    EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
    EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
    EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62A8AB43u);
    EXPECT_EQ(crc32c(""), 0u);
}

template <class T>
T take(std::string_view& bytes) {
    T value;
    std::memcpy(&value, bytes.data(), sizeof value);
    bytes.remove_prefix(sizeof value);
    return value;
}

uint32_t mask(uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8u; }

// The messages of a file, whose frames are checked.
std::vector<std::string> messages(std::string_view bytes) {
    std::vector<std::string> found;
    while (!bytes.empty()) {
        const std::string_view length_bytes = bytes.substr(0, 8);
        const auto length = take<uint64_t>(bytes);
        EXPECT_EQ(take<uint32_t>(bytes), mask(crc32c(length_bytes)));
        const std::string_view message = bytes.substr(0, length);
        bytes.remove_prefix(length);
        EXPECT_EQ(take<uint32_t>(bytes), mask(crc32c(message)));
        found.emplace_back(message);
    }
    return found;
}

TEST(TensorBoard, FirstRecordNamesTheVersion) {
    const auto found = messages(tensorboard_version_record(2.0));
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0], std::string("\x09\0\0\0\0\0\0\0\x40\x1a\x0d", 11) + "brain.Event:2");
}

TEST(TensorBoard, ScalarsHaveTagStepAndValue) {
    const auto found = messages(tensorboard_scalar_record(2.0, 300, {{"loss", 0.5}}));
    ASSERT_EQ(found.size(), 1u);
    // wall_time 2.0; step 300 as a varint; summary of 13 bytes: value of 11 bytes: tag "loss", simple_value 0.5f
    EXPECT_EQ(found[0], std::string("\x09\0\0\0\0\0\0\0\x40\x10\xac\x02\x2a\x0d\x0a\x0b\x0a\x04loss\x15\0\0\0\x3f", 27));
}

TEST(TensorBoard, PicturesHoldThePng) {
    const auto found = messages(tensorboard_picture_record(0, 1, "p", 3, 2, "PNG"));
    ASSERT_EQ(found.size(), 1u);
    EXPECT_NE(found[0].find(std::string("\x08\x02\x10\x03\x18\x03\x22\x03PNG", 11)), std::string::npos);
}

TEST(TensorBoard, FileGrowsByARecordAnEpoch) {
    const auto folder = std::filesystem::temp_directory_path() / ("xbench-tensorboard-" + std::to_string(::getpid()));
    const EpochResult epochs[] = {{.epoch = 1, .train_loss = 1}, {.epoch = 2, .train_loss = .5}};
    std::filesystem::create_directories(folder);
    begin_tensorboard(folder, 7, std::span(epochs, 1));
    append_tensorboard(folder, 8, epochs[1]);
    std::stringstream bytes;
    bytes << std::ifstream(tensorboard_file(folder), std::ios::binary).rdbuf();
    EXPECT_EQ(bytes.str(), tensorboard_version_record(7) + tensorboard_epoch_record(7, epochs[0]) +
                               tensorboard_epoch_record(8, epochs[1]));
    EXPECT_EQ(messages(bytes.str()).size(), 3u);
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace xbench
