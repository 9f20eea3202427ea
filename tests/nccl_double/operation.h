// What a call of NCCL puts into a stream: one or several collectives and messages, that go on when they are asked to and say
// whether they are through.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "tests/nccl_double/communicator.h"

namespace xbench::nccl {

struct Part {
    Call call;
    CUdeviceptr from = 0, to = 0;
    int peer = -1;  // of a message
    // How far it is.
    uint64_t round = 0;  // of the world; 0: not begun
    uint64_t done = 0;   // elements of each rank's contribution
    bool published = false, through = false;
};

class Operation {
public:
    Operation(std::shared_ptr<State> state, std::vector<Part> parts, bool captured);
    ~Operation();
    Operation(const Operation&) = delete;
    Operation& operator=(const Operation&) = delete;
    // For emu_enqueue.
    static CUresult poll(void* self);
    static void release(void* self);

private:
    CUresult go_on();
    CUresult end(CUresult result);
    bool is_injected();
    bool waits_its_turn(size_t first, size_t p) const;
    bool go_on(Part& part);
    bool collective(Part& part);
    bool send(Part& part);
    bool receive(Part& part);
    void publish(const Part& part, uint64_t elements);
    void take(const Part& part, uint64_t elements);
    void take_reduced(const Part& part, uint64_t elements);
    void write(CUdeviceptr to, const void* data, const unsigned char* shadow, size_t bytes);
    bool agree(const Part& part);
    bool alive(const Part& part);
    std::string waits_for() const;
    uint64_t contribution(const Part& part) const;

    std::shared_ptr<State> state_;
    std::vector<Part> parts_;
    bool captured_, running_ = false, failed_ = false;
    int polls_ = 0;
    std::chrono::steady_clock::time_point begun_;
};

// Which bytes of the device a part reads and writes, in a rank of so many.
size_t bytes_read(const Part& part, int ranks, int rank);
size_t bytes_written(const Part& part, int ranks, int rank);

}  // namespace xbench::nccl
