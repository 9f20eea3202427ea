// Configurations of runs whose versions did not know a key: what they did is done again, unless something else is said.
#include "core/config_versions.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/parallel/temporary_folder.h"

namespace xbench {
namespace {

std::filesystem::path write(const std::filesystem::path& file, const std::string& train) {
    std::ofstream(file) << R"({"model": "cifar_cnn", "data": {"synthetic": {"count": 9}}, "train": {)" << train << "}}";
    return file;
}

TEST(ConfigVersions, AnOlderRunsConfigurationSaysWhatItDid) {
    const TemporaryFolder folder;
    write(folder.path() / "config.resolved.json", R"("ema_decay": 0.5)");
    EXPECT_EQ(load_run_config(folder.path()).train.ema_statistics, "copied");
    write(folder.path() / "config.resolved.json", R"("ema_decay": 0.5, "ema_statistics": "averaged")");
    EXPECT_EQ(load_run_config(folder.path()).train.ema_statistics, "averaged");
}

// Whether the file is the run's own or another one, and also where the run was resumed before.
TEST(ConfigVersions, ACommandGoesOnAsTheRunDidUnlessItSaysOtherwise) {
    const TemporaryFolder folder;
    const auto file = write(folder.path() / "mine.json", R"("ema_decay": 0.5)");
    const auto taken = [&](const std::vector<std::string>& settings) {
        return load_config(file, settings, {}, defaults_of_run(folder.path())).train.ema_statistics;
    };
    EXPECT_EQ(taken({}), "averaged") << "there is no run";
    for (const char* kept : {R"("ema_decay": 0.5)", R"("ema_decay": 0.5, "ema_statistics": "copied")"}) {
        write(folder.path() / "config.resolved.json", kept);
        EXPECT_EQ(taken({}), "copied");
        EXPECT_EQ(taken({"train.ema_statistics=averaged"}), "averaged");
    }
    write(folder.path() / "config.resolved.json", R"("ema_statistics": "averaged")");
    EXPECT_EQ(taken({}), "averaged");
    EXPECT_EQ(taken({"train.ema_statistics=copied"}), "copied");
    EXPECT_TRUE(defaults_of_run("").empty());
    for (const char* broken : {"", "{", "[]", R"({"train": 3})"}) {
        std::ofstream(folder.path() / "config.resolved.json") << broken;
        EXPECT_NO_THROW(taken({})) << broken;
    }
    std::ofstream(file, std::ios::trunc) << R"({"model": "cifar_cnn", "data": {"synthetic": {"count": 9}}, "train": 3})";
    EXPECT_THROW(taken({}), std::exception) << "the file's own mistake";
}

}  // namespace
}  // namespace xbench
