// The arrays of an npz file, read from first to last without unpacking them whole. Sizes are those of the zip's directory
// (NumPy writes placeholders into the local heads), checked against the arrays' shapes; checksums are verified. The only
// user of libzip.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "data/import/npy.h"

namespace xbench {

bool is_zip(const std::string& path);  // by its first bytes

class NpzFile {
public:
    explicit NpzFile(const std::string& path);  // throws Error
    ~NpzFile();
    NpzFile(const NpzFile&) = delete;
    NpzFile& operator=(const NpzFile&) = delete;

    // Arrays by their name without ".npy"; heads are read and checked. Throws Error for an array that cannot be read.
    bool has(const std::string& name) const;
    const NpyHead& head(const std::string& name);
    std::vector<std::string> names() const;
    // Starts an array at its first element; read() takes the next bytes of it. The end of an array checks its sum.
    void start(const std::string& name);
    void read(std::span<uint8_t> bytes);
    // Whole arrays, for labels. At most 1 GiB.
    std::vector<uint8_t> read_all(const std::string& name);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace xbench
