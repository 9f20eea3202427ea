// Reads expected.json (scikit-learn's answers, made by make_expected.py) for the tests of this folder.
#pragma once

#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include "eval/metrics.h"

namespace xbench {

inline Json expected_cases() {
    std::ifstream file(std::string(XB_SOURCE_DIR) + "/tests/eval/expected.json");
    return Json::parse(file);
}

inline std::vector<std::string> class_names_of(const Json& expected) {
    return expected.at("classes").get<std::vector<std::string>>();
}

inline Predictions predictions_of(const Json& expected) {
    Predictions p;
    p.classes = static_cast<int64_t>(expected.at("classes").size());
    p.probabilities = expected.at("probabilities").get<std::vector<float>>();
    if (expected.contains("labels"))
        p.labels = expected.at("labels").get<std::vector<int32_t>>();
    else
        p.targets = expected.at("targets").get<std::vector<uint8_t>>();
    p.samples.resize(p.probabilities.size() / static_cast<size_t>(p.classes));
    std::iota(p.samples.begin(), p.samples.end(), 100);
    p.loss_sum = 0.25 * static_cast<double>(p.samples.size());
    return p;
}

}  // namespace xbench
