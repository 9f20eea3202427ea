// Sets larger than the memory they may take are read from their file as they are needed: the same batches, in bounded
// memory.
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "core/hash.h"
#include "core/rng.h"
#include "data/load/loader.h"
#include "data/set/h5.h"
#include "image_files.h"

namespace xbench {
namespace {

constexpr int64_t images = 1024, side = 256, mebibyte = int64_t{1} << 20;  // 64 MiB

void write_set(const std::string& path) {
    SetRecords records;
    records.info = {"test", images, 1, side, side, 1, {"a", "b"}};
    H5Writer writer(path, records.info);
    std::vector<uint8_t> pixels(side * side);
    Random random(1, RandomUse::test_data);
    for (int64_t i = 0; i < images; ++i) {
        for (size_t p = 0; p < pixels.size(); p += 16) pixels[p] = static_cast<uint8_t>(random.bits());
        writer.append(pixels);
        records.labels.push_back(static_cast<int32_t>(i % 2));
        records.splits.push_back(0);
        records.ids.push_back(std::to_string(i));
    }
    writer.finish(records);
}

// The most memory that this process has had since forget_peak(), in bytes; 0 where the system does not say.
int64_t peak_bytes() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmHWM:")) return 1024 * std::atoll(line.c_str() + 6);
    return 0;
}
bool forget_peak() {
    std::ofstream file("/proc/self/clear_refs");
    return static_cast<bool>(file << "5" << std::flush);
}

struct Epoch {
    std::string batches;
    int64_t growth_bytes = 0;
};

Epoch read_epoch(const std::string& path, int64_t memory_bytes) {
    forget_peak();
    const int64_t before = peak_bytes();
    const auto set = open_h5(path, memory_bytes);
    LoaderOptions options;
    options.batch_size = 8;
    options.workers = 2;
    Loader loader(*set, options);
    loader.start_epoch(1);
    Hash hash;
    while (const Batch* batch = loader.next()) {
        hash.add(batch->sample_ids.data(), batch->sample_ids.size() * sizeof(int64_t));
        hash.add(batch->images, static_cast<size_t>(batch->size * side * side) * sizeof(float));
    }
    return {hash.hex(), peak_bytes() - before};
}

TEST(Streaming, ReadsASetOfFourTimesItsMemory) {
    const TemporaryFolder folder;
    write_set(folder / "set.h5");
    const Epoch streamed = read_epoch(folder / "set.h5", 16 * mebibyte),
                kept = read_epoch(folder / "set.h5", 128 * mebibyte);
    EXPECT_EQ(streamed.batches, kept.batches);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "sanitizers keep what is freed";
#endif
    if (peak_bytes() == 0 || !forget_peak()) GTEST_SKIP() << "the system does not tell the peak of memory";
    EXPECT_GE(kept.growth_bytes, 60 * mebibyte);  // so that this test can fail
    EXPECT_LE(streamed.growth_bytes, 40 * mebibyte);
}

}  // namespace
}  // namespace xbench
