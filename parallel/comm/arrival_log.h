// When this rank came to each collective of its training steps, and when it left it: kept in buffers that are made before
// the first step, and read after the last. Nanoseconds of steady_clock, which the processes of one machine share.
//
// Collectives are told apart by the track (one for each thread that communicates) and their place within the step. Only
// steps between begin_step() and end_step() are kept; evaluations and checkpoints are not.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <vector>

namespace xbench {

enum class CollectiveKind : uint8_t { all_reduce, reduce_scatter, all_gather, broadcast, shift, meet };
const char* name_of(CollectiveKind collective);

struct LoggedCall {
    // A sum in two halves is resumed where its second half is called; any other where it is called.
    int64_t arrived_ns, resumed_ns, done_ns;
    uint64_t bytes;
    uint32_t step, site;  // site: place among the step's calls on this track, from 0
    CollectiveKind collective;
};

// The calls of one thread. What does not fit any more is left out, from a whole step on.
class ArrivalTrack {
public:
    explicit ArrivalTrack(size_t capacity) : calls_(capacity) {}
    void add(CollectiveKind collective, uint64_t bytes, uint32_t step, int64_t arrived_ns, int64_t resumed_ns,
             int64_t done_ns) {
        site_ = step == step_ ? site_ + 1 : 0;
        step_ = step;
        if (used_ < calls_.size()) calls_[used_++] = {arrived_ns, resumed_ns, done_ns, bytes, step, site_, collective};
    }
    std::vector<LoggedCall> calls() const { return {calls_.begin(), calls_.begin() + static_cast<std::ptrdiff_t>(used_)}; }
    bool is_full() const { return used_ == calls_.size(); }

private:
    std::vector<LoggedCall> calls_;
    size_t used_ = 0;
    uint32_t step_ = 0, site_ = 0;
};

// Where the parts of a step begin and end.
struct StepMarks {
    uint32_t step;
    int64_t begin_ns, loaded_ns, computed_ns, end_ns;
};

class ArrivalLog {
public:
    enum class When {
        always,
        alternate  // in one step of two, at random: what logging costs is the difference
    };
    static constexpr size_t calls_of_track = size_t{1} << 16, most_marks = 32;

    explicit ArrivalLog(When when = When::always) : when_(when) { marks_.reserve(most_marks); }

    static int64_t now() {
        return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
            .count();
    }
    ArrivalTrack* add_track() { return &tracks_.emplace_back(calls_of_track); }  // valid as long as this

    // By the thread that computes. `step` from 1; others than it may ask for step() while it runs.
    void before_load() {
        if (marks_.size() < most_marks) mark_.begin_ns = now();
    }
    void begin_step(uint32_t step);
    void computed() {
        if (step_ != 0 && marks_.size() < most_marks) mark_.computed_ns = now();
    }
    void end_step();

    uint32_t step() const { return step_; }  // 0: nothing is kept
    static bool is_logged(When when, uint32_t step);
    When when() const { return when_; }

    const std::deque<ArrivalTrack>& tracks() const { return tracks_; }
    const std::vector<StepMarks>& marks() const { return marks_; }

private:
    const When when_;
    uint32_t step_ = 0;
    StepMarks mark_{};
    std::vector<StepMarks> marks_;  // of the first steps
    std::deque<ArrivalTrack> tracks_;
};

}  // namespace xbench
