// The sample run of tests/bench/sample_run, and copies of it in which something was changed.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "core/json.h"

namespace xbench {

inline const std::filesystem::path sample = XB_SOURCE_DIR "/tests/bench/sample_run";

struct Copy {
    std::filesystem::path folder;
    explicit Copy(const std::string& name)
        : folder(std::filesystem::path(testing::TempDir()) / fmt::format("xb_{}_{}", name, getpid())) {
        std::filesystem::remove_all(folder);
        std::filesystem::create_directories(folder);
        for (const char* file : {"config.resolved.json", "env.json", "records.jsonl"})
            std::filesystem::copy_file(sample / file, folder / file);
    }
    ~Copy() { std::filesystem::remove_all(folder); }
    Copy(const Copy&) = delete;
    Copy& operator=(const Copy&) = delete;
    // `change` is given each record, and says whether it stays.
    template <class Change>
    void change_records(Change change) const {
        std::string text;
        std::ifstream file(folder / "records.jsonl");
        for (std::string line; std::getline(file, line);) {
            Json json = *parse_json(line);
            if (change(json)) text += json_text(json) + "\n";
        }
        std::ofstream(folder / "records.jsonl") << text;
    }
};

}  // namespace xbench
