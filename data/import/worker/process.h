// A worker process seen from the import: files go in, outcomes and pixels come out, and a file that ends the worker, takes
// too long or too much memory is an outcome like any other.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/import/file_decoder.h"
#include "data/import/worker/protocol.h"

namespace xbench::worker {

inline constexpr double most_seconds = 5;  // of processor time, for one file

struct Job {
    std::string path;
    int64_t frame = 0;
};

// For one thread. The process starts with the first batch, and again after each that it did not survive.
class Process {
public:
    Process(std::string program, const Setup& setup, size_t image_bytes);
    ~Process();
    Process(Process&& other) noexcept;
    Process& operator=(Process&&) = delete;

    size_t most_jobs() const { return jobs_; }  // a batch
    // Throws Error when no process can be started.
    void decode(std::span<const Job> jobs, int bytes_per_pixel, DecodedFile* files, uint8_t* pixels);

private:
    void start();
    void stop();
    bool ask(std::span<const size_t> places, std::span<const int> open, std::span<const Job> jobs, int bytes_per_pixel);
    bool read_answer(std::vector<std::byte>& packed, size_t files);
    bool read_part(void* data, size_t size, size_t files);
    double processor_seconds() const;
    std::string end_of_process();

    const std::string program_;
    const Setup setup_;
    size_t jobs_, memory_bytes_;
    int socket_ = -1, memory_file_ = -1;
    uint8_t* memory_ = nullptr;
    int pid_ = -1;
    std::string verdict_;       // why the process was ended by us
    uint32_t watched_ = 0;      // the file that it was last seen at
    double watched_since_ = 0;  // its processor time then
};

}  // namespace xbench::worker
