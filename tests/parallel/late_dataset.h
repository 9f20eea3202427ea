// Another data set, read with a delay: a rank whose disk is slow.
#pragma once

#include <chrono>
#include <thread>

#include "data/set/dataset.h"

namespace xbench::test {

class LateDataset final : public Dataset {
public:
    LateDataset(const Dataset& of, std::chrono::milliseconds late) : of_(of), late_(late) {
        info_ = of.info();
        labels_.assign(of.labels().begin(), of.labels().end());
        targets_.assign(of.targets().begin(), of.targets().end());
        splits_.assign(of.splits().begin(), of.splits().end());
        ids_ = of.ids();
    }
    void read(std::span<const int64_t> indices, float* images) const override {
        std::this_thread::sleep_for(late_);
        of_.read(indices, images);
    }
    std::string digest() const override { return of_.digest(); }

private:
    const Dataset& of_;
    const std::chrono::milliseconds late_;
};

}  // namespace xbench::test
