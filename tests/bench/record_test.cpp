// Records: keys, round trip, appending after a kill, broken files; the environment and its digest.
#include "bench/base/record.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "bench/base/environment.h"
#include "core/error.h"

namespace xbench {
namespace {

std::filesystem::path fresh(const std::string& name) {
    const std::filesystem::path path = testing::TempDir() + "/xb_record_" + std::to_string(getpid()) + name;
    std::filesystem::remove(path);
    return path;
}

Record sample() {
    Record record;
    record.run_id = "r1";
    record.bench = "train";
    record.params = Json{{"ranks", 2}};
    record.rep = 3;
    record.unit = "images/s";
    record.value = 2345.25;
    record.samples_ns = {1, 2, 9007199254740993};
    record.per_rank = Json::array({Json{{"rank", 0}}});
    record.steady = false;
    record.max_rel_err = 1e-7;
    record.counters = Json{{"steps", 12}};
    record.energy_why = "none";
    record.env_id = "e";
    record.config_sha = "c";
    record.data_sha = "d";
    record.weights_hash = "w";
    return record;
}

TEST(Record, HasTheKeysOfTheContract) {
    const Json json = to_json(sample());
    std::vector<std::string> keys;
    for (const auto& [key, value] : json.items()) keys.push_back(key);
    EXPECT_EQ(keys, (std::vector<std::string>{"schema", "run_id", "kind", "bench", "params", "rep", "unit", "value",
                                              "samples_ns", "per_rank", "steady", "check", "counters", "energy_j",
                                              "energy_why", "env_id", "config_sha", "data_sha", "weights_hash"}));
    EXPECT_EQ(json["schema"], "xbench.record/1");
    EXPECT_TRUE(json["energy_j"].is_null());
    EXPECT_EQ(json["check"].dump(), R"({"ok":true,"max_rel_err":1e-07})");
}

TEST(Record, RoundTrip) {
    EXPECT_EQ(to_json(record_from(to_json(sample()))), to_json(sample()));
    const auto path = fresh("trip.jsonl");
    const std::vector<Record> two{sample(), sample()};
    append_records(path, two);
    append_records(path, std::span(two).first(1));
    const std::vector<Record> read = read_records(path);
    ASSERT_EQ(read.size(), 3u);
    EXPECT_EQ(to_json(read[2]), to_json(sample()));
}

TEST(Record, AppendingAfterAKillKeepsWhatIsWhole) {
    const auto path = fresh("torn.jsonl");
    append_records(path, std::vector<Record>{sample()});
    std::ofstream(path, std::ios::app) << R"({"schema":"xbench.rec)";  // killed in the middle of a line
    EXPECT_EQ(read_records(path).size(), 1u);
    append_records(path, std::vector<Record>{sample()});
    std::ifstream file(path);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    ASSERT_EQ(lines.size(), 3u);
    EXPECT_EQ(Json::parse(lines[2])["run_id"], "r1");  // a line of its own
}

TEST(Record, BrokenLinesAreNamed) {
    const auto path = fresh("broken.jsonl");
    Json wrong = to_json(sample());
    wrong.erase("value");
    std::ofstream(path) << to_json(sample()).dump() << "\n" << wrong.dump() << "\n";
    try {
        read_records(path);
        FAIL() << "a record without a value was taken";
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find(path.string() + ":2"), std::string::npos) << error.what();
        EXPECT_NE(std::string(error.what()).find("\"value\""), std::string::npos) << error.what();
    }
    Json other = to_json(sample());
    other["schema"] = "xbench.record/2";
    EXPECT_THROW(record_from(other), Error);
    EXPECT_THROW(read_records(fresh("missing.jsonl")), Error);
}

TEST(Record, TextFilesAppearWhole) {
    const auto path = fresh("text.txt");
    write_text(path, "one");
    write_text(path, "two\n");
    std::ifstream file(path);
    std::string text((std::istreambuf_iterator<char>(file)), {});
    EXPECT_EQ(text, "two\n");
    EXPECT_FALSE(std::filesystem::exists(path.string() + ".part"));
    EXPECT_THROW(write_text("/nonexistent_folder/x", "y"), Error);
}

TEST(Environment, SaysWhereAndHow) {
    setenv("SLURM_XB_TEST", "7", 1);
    setenv("XB_PRIVATE_THING", "secret", 1);
    setenv("SLURM_XB_TOKEN", "secret", 1);
    const Json environment = describe_environment({"xbench", "--config", "c.json"}, query_hardware());
    for (const char* key : {"build", "machine", "mpi", "slurm", "command_line", "variables", "env_id"})
        EXPECT_TRUE(environment.contains(key)) << key;
    EXPECT_EQ(environment["variables"]["SLURM_XB_TEST"], "7");
    EXPECT_EQ(environment.dump().find("secret"), std::string::npos);
    for (const char* key : {"commit", "dirty", "compiler", "flags", "libraries"})
        EXPECT_TRUE(environment["build"].contains(key)) << key;
    unsetenv("SLURM_XB_TEST");
    unsetenv("XB_PRIVATE_THING");
    unsetenv("SLURM_XB_TOKEN");
}

TEST(Environment, IdDependsOnTheMachineAndNotOnTheTime) {
    const Json environment = describe_environment({"a"}, query_hardware());
    Json later = environment, elsewhere = environment;
    later["time_utc"] = "2000-01-01T00:00:00Z";
    later["command_line"] = Json::array({"b"});
    elsewhere["machine"]["cpu"] = "another";
    EXPECT_EQ(environment_id(later), environment["env_id"].get<std::string>());
    EXPECT_NE(environment_id(elsewhere), environment["env_id"].get<std::string>());
}

}  // namespace
}  // namespace xbench
