// A flipped bit anywhere in a file of weights is found when it is loaded, or lies in the padding of its header.
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <random>
#include <sstream>

#include "core/error.h"
#include "models/registry.h"
#include "parallel/checkpoint/checkpoint.h"
#include "tests/parallel/temporary_folder.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

void write_described_weights(const fs::path& path) {
    const ModelConfig model = resolve_model(ModelConfig{.name = "pneumonia_cnn", .widths = {2, 3, 4}});
    const Graph graph = build_model(model);
    WeightSet weights;
    float next = 0.5f;
    for (const ValueId id : graph.state) {
        NamedTensor tensor{graph.value(id).name, graph.value(id).shape, {}};
        tensor.data.resize(static_cast<size_t>(tensor.shape.elements()));
        for (float& x : tensor.data) x = next += 0.25f;
        weights.tensors.push_back(std::move(tensor));
    }
    ModelDescription about;
    about.model = model;
    about.class_names = {"normal", "pneumonia"};
    describe(about, weights);
    save_weights(path, weights);
}

std::string content(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

bool is_refused(const fs::path& path) {
    try {
        load_weights(path);
        return false;
    } catch (const Error&) {
        return true;
    }
}

// Whether the byte is one of the spaces that fill the header up to a multiple of 8 bytes.
bool in_padding(const std::string& file, size_t byte) {
    uint64_t header = 0;
    std::memcpy(&header, file.data(), sizeof header);
    const size_t end = 8 + header;
    return byte < end && byte > file.rfind('}', end - 1);
}

TEST(DamagedWeights, EveryFlippedBitIsFound) {
    const TemporaryFolder folder;
    const fs::path path = folder.path() / "w.safetensors";
    write_described_weights(path);
    const std::string whole = content(path);
    EXPECT_TRUE(load_weights(path).verified);
    constexpr uint64_t seed = 20261130;
    std::mt19937_64 random(seed);
    for (int trial = 0; trial < 3000; ++trial) {
        std::string damaged = whole;
        const size_t byte = random() % damaged.size();
        const auto bit = static_cast<int>(random() % 8);
        damaged[byte] = static_cast<char>(static_cast<unsigned char>(damaged[byte]) ^ (1u << bit));
        std::ofstream(path, std::ios::binary) << damaged;
        EXPECT_TRUE(is_refused(path) || in_padding(whole, byte)) << "seed " << seed << ", byte " << byte << ", bit " << bit;
    }
}

TEST(DamagedWeights, AFileWithoutHashesIsReadUnverified) {
    const TemporaryFolder folder;
    const fs::path path = folder.path() / "w.safetensors";
    write_described_weights(path);
    TensorFile file = read_safetensors(path);
    const std::string kept = file.metadata.at("xbench.weights_hash");
    file.metadata.erase("xbench.weights_hash");
    write_safetensors(path, file);
    EXPECT_TRUE(is_refused(path));  // one hash of two
    file.metadata.erase("xbench.header_hash");
    write_safetensors(path, file);
    EXPECT_FALSE(load_weights(path).verified);
    EXPECT_EQ(weights_hash(load_weights(path)), kept);
}

}  // namespace
}  // namespace xbench
