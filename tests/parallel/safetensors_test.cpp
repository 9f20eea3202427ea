// What is written is read back; PyTorch's files are read; damaged and hostile files end in an Error that names file and
// place.
#include "parallel/checkpoint/safetensors.h"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/parallel/temporary_folder.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Safetensors : public testing::Test {
protected:
    // A file with this header and this many bytes of data, all 0.
    fs::path write_raw(const std::string& header, size_t data_bytes, uint64_t claimed = 0) {
        const fs::path path = folder_.path() / "raw.safetensors";
        std::ofstream out(path, std::ios::binary);
        const uint64_t length = claimed ? claimed : header.size();
        out.write(reinterpret_cast<const char*>(&length), sizeof length);
        out << header << std::string(data_bytes, '\0');
        return path;
    }
    void expect_refused(const std::string& header, size_t data_bytes, const std::string& reason) {
        const fs::path path = write_raw(header, data_bytes);
        try {
            read_safetensors(path);
            ADD_FAILURE() << "accepted: " << header;
        } catch (const Error& error) {
            EXPECT_THAT(error.what(), HasSubstr(path.string())) << header;
            EXPECT_THAT(error.what(), HasSubstr(reason)) << header;
        }
    }
    TemporaryFolder folder_;
};

TEST_F(Safetensors, WhatIsWrittenIsReadBackInOrder) {
    TensorFile file;
    file.tensors.push_back({"z", {2, 3}, {1, -2, 3.5f, 0, 1e-42f, std::numeric_limits<float>::infinity()}});
    file.tensors.push_back({"a", {1}, {7}});
    file.tensors.push_back({"scalar", {}, {8}});
    file.tensors.push_back({"none", {0, 4}, {}});
    file.integers.push_back({"steps", -5});
    file.metadata = {{"k", "v \"q\" \n \xC3\xA9"}, {"", ""}};
    const fs::path path = folder_.path() / "sub" / "w.safetensors";
    write_safetensors(path, file);
    const TensorFile back = read_safetensors(path);
    EXPECT_EQ(back.metadata, file.metadata);
    ASSERT_EQ(back.integers.size(), 1u);
    EXPECT_EQ(back.integers[0].value, -5);
    ASSERT_EQ(back.tensors.size(), file.tensors.size());
    for (size_t i = 0; i < file.tensors.size(); ++i) {
        EXPECT_EQ(back.tensors[i].name, file.tensors[i].name);
        EXPECT_EQ(back.tensors[i].shape, file.tensors[i].shape);
        EXPECT_EQ(back.tensors[i].data, file.tensors[i].data);
    }
    EXPECT_EQ(std::distance(fs::directory_iterator(path.parent_path()), {}), 1) << "a temporary file was left";
}

TEST_F(Safetensors, OtherNumberTypesAreConverted) {
    // 1, -2, the smallest subnormal, infinity in F16; 1, -2 in BF16; 0.5 in F64.
    const std::string header =
        R"({"h":{"dtype":"F16","shape":[4],"data_offsets":[8,16]},"b":{"dtype":"BF16","shape":[2],"data_offsets":[16,20]},)"
        R"("d":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})";
    const fs::path path = write_raw(header, 0);
    std::ofstream out(path, std::ios::binary | std::ios::app);
    const double half = 0.5;
    const uint16_t words[] = {0x3C00, 0xC000, 0x0001, 0x7C00, 0x3F80, 0xC000};
    out.write(reinterpret_cast<const char*>(&half), 8);
    out.write(reinterpret_cast<const char*>(words), sizeof words);
    out.close();
    const TensorFile file = read_safetensors(path);
    ASSERT_EQ(file.tensors.size(), 3u);
    EXPECT_EQ(file.tensors[0].data, std::vector<float>{0.5f});
    EXPECT_EQ(file.tensors[1].data, (std::vector<float>{1, -2, 0x1p-24f, std::numeric_limits<float>::infinity()}));
    EXPECT_EQ(file.tensors[2].data, (std::vector<float>{1, -2}));
}

TEST_F(Safetensors, AFileWrittenByPyTorchIsRead) {
    const TensorFile file = read_safetensors(fs::path(XB_SOURCE_DIR) / "tests/parallel/pytorch.safetensors");
    std::map<std::string, NamedTensor> by_name;
    for (const NamedTensor& tensor : file.tensors) by_name[tensor.name] = tensor;
    EXPECT_EQ(by_name.at("f.0.weight").shape, (Shape{2, 1, 3, 3}));
    for (size_t i = 0; i < 18; ++i) EXPECT_EQ(by_name.at("f.0.weight").data[i], static_cast<float>(i) / 8);
    EXPECT_EQ(by_name.at("f.1.half").data, (std::vector<float>{0.25f, -3}));
    ASSERT_EQ(file.integers.size(), 1u);
    EXPECT_EQ(file.integers[0].name, "f.1.num_batches_tracked");
    EXPECT_EQ(file.integers[0].value, 3);
    EXPECT_EQ(file.metadata.at("format"), "pt");
}

TEST_F(Safetensors, AnOlderFileIsReplacedWhole) {
    const fs::path path = folder_.path() / "w.safetensors";
    write_safetensors(path, {.tensors = {{"a", {1}, {1}}}, .integers = {}, .metadata = {}});
    const TensorFile wrong{.tensors = {{"a", {2}, {1}}}, .integers = {}, .metadata = {}};
    EXPECT_THROW(write_safetensors(path, wrong), Error);
    EXPECT_EQ(read_safetensors(path).tensors[0].data[0], 1) << "a failed write must leave the old file";
    write_safetensors(path, {.tensors = {{"a", {1}, {2}}}, .integers = {}, .metadata = {}});
    EXPECT_EQ(read_safetensors(path).tensors[0].data[0], 2);
    EXPECT_THROW(write_safetensors(path / "x", wrong), Error) << "the folder is a file";
}

TEST_F(Safetensors, TwoTensorsOfOneNameAreNotWritten) {
    const TensorFile twice{.tensors = {{"a", {1}, {1}}, {"a", {1}, {1}}}, .integers = {}, .metadata = {}};
    EXPECT_THROW(write_safetensors(folder_.path() / "w", twice), Error);
}

TEST_F(Safetensors, HostileHeadersAreRefused) {
    const std::string good = R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
    EXPECT_NO_THROW(read_safetensors(write_raw("{" + good + "}", 8))) << "the cases below differ from this in one thing";
    expect_refused("{" + good, 8, "no JSON");
    expect_refused("[]", 8, "no JSON object");
    expect_refused("{" + good + "}", 9, "behind the last tensor");
    expect_refused("{" + good + "}", 7, "outside of");
    expect_refused("{" + good + "," + good + "}", 8, "twice");
    expect_refused("{" + good + R"(,"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8, "overlaps");
    expect_refused("{" + good + R"(,"b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}})", 16, "hole");
    expect_refused(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8, "outside of");
    expect_refused(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8, "8 bytes for 3");
    expect_refused(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8, "whole number");
    expect_refused(R"({"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})", 8, "whole number");
    expect_refused(R"({"a":{"dtype":"F32","shape":2,"data_offsets":[0,8]}})", 8, "no list");
    expect_refused(R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,2],"data_offsets":[0,8]}})", 8, "6 dimensions");
    expect_refused(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}})", 8, "absurd");
    expect_refused(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}})", 8, "data_offsets");
    expect_refused(R"({"a":{"dtype":"F32","shape":[2]}})", 8, "missing");
    expect_refused(R"({"a":{"dtype":7,"shape":[2],"data_offsets":[0,8]}})", 8, "dtype");
    expect_refused(R"({"a":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}})", 8, "C64");
    expect_refused(R"({"a":{"dtype":"I64","shape":[2],"data_offsets":[0,16]}})", 16, "single");
    expect_refused(R"({"__metadata__":{"k":1}})", 0, "no string");
    expect_refused(R"({"__metadata__":[]})", 0, "no object");
    expect_refused(R"({"a":)" + std::string(100000, '[') + "}", 0, "nested");
}

TEST_F(Safetensors, LengthsAreComparedWithTheFileBeforeAnythingIsAllocated) {
    EXPECT_THROW(read_safetensors(write_raw("{}", 0, 99'999'999)), Error);
    EXPECT_THROW(read_safetensors(write_raw("{}", 0, ~uint64_t{0})), Error);
    EXPECT_THROW(read_safetensors(write_raw("{}", 0, ~uint64_t{0} - 7)), Error);
    std::ofstream(folder_.path() / "short", std::ios::binary) << "abc";
    EXPECT_THROW(read_safetensors(folder_.path() / "short"), Error);
    EXPECT_THROW(read_safetensors(folder_.path() / "absent"), Error);
    EXPECT_THROW(read_safetensors(folder_.path()), Error) << "a folder";
}

TEST_F(Safetensors, EveryTruncationAndEveryFlippedHeaderByteEndsInAnErrorOrAReadableFile) {
    TensorFile file{.tensors = {{"f.0.weight", {2, 2}, {1, 2, 3, 4}}, {"b", {3}, {1, 2, 3}}},
                    .integers = {{"n", 0}},
                    .metadata = {{"k", "v"}}};
    const fs::path path = folder_.path() / "w.safetensors", damaged = folder_.path() / "damaged";
    write_safetensors(path, file);
    std::ifstream stream(path, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(stream)), {});
    for (size_t length = 0; length < bytes.size(); ++length) {
        std::ofstream(damaged, std::ios::binary) << bytes.substr(0, length);
        EXPECT_THROW(read_safetensors(damaged), Error) << "cut to " << length;
    }
    int refused = 0;
    const size_t header_end = bytes.size() - 8 - 7 * 4;
    for (size_t at = 0; at < header_end; ++at) {
        std::string changed = bytes;
        changed[at] = static_cast<char>(changed[at] ^ (1 << (at % 8)));
        std::ofstream(damaged, std::ios::binary) << changed;
        try {
            read_safetensors(damaged);
        } catch (const Error&) {  // anything else ends the test
            ++refused;
        }
    }
    EXPECT_GT(refused, static_cast<int>(header_end / 2));
}

}  // namespace
}  // namespace xbench
