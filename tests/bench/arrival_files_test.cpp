// The files made of arrivals: delays, CSV, the trace against its schema, and what logging costs.
#include "bench/runs/arrival_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/rng.h"

namespace xbench {
namespace {

// Two ranks, two steps; rank 1 also communicates by a thread. Microseconds from 1,000,000.
ArrivalSummary example() {
    const auto at = [](double us) { return 1'000'000'000 + static_cast<int64_t>(us * 1000); };
    ArrivalSummary summary;
    summary.steps = 2;
    summary.clock = "one machine's";
    SiteDelays site;
    site.bytes = 256;
    site.steps = 2;
    site.share_last = {0.25, 0.75};
    site.delay_ms = {0.125, 0.5};
    site.transfer_ms = 0.0625;
    summary.sites = {site};
    for (int rank = 0; rank < 2; ++rank) {
        RankTrace trace;
        for (uint32_t step = 1; step <= 2; ++step) {
            const double begin = 100.0 * step + rank;
            trace.marks.push_back({step, at(begin), at(begin + 5), at(begin + 60), at(begin + 90.5)});
            trace.calls.push_back(
                {rank, {at(begin + 20), at(begin + 22), at(begin + 30), 256, step, 0, CollectiveKind::all_reduce}});
        }
        summary.trace.push_back(trace);
    }
    return summary;
}

// The keywords of JSON Schema that docs/trace.schema.json uses. An unknown one is a mistake of the test.
std::string against(const Json& schema, const Json& value, const std::string& place);

bool is_type(const Json& value, const std::string& type) {
    return type == "object"    ? value.is_object()
           : type == "array"   ? value.is_array()
           : type == "string"  ? value.is_string()
           : type == "integer" ? value.is_number_integer()
                               : type == "number" && value.is_number();
}

std::string object_against(const Json& schema, const Json& value, const std::string& place) {
    for (const Json& key : schema.value("required", Json::array()))
        if (!value.contains(key.get<std::string>())) return place + " lacks " + key.get<std::string>();
    const Json properties = schema.value("properties", Json::object());
    for (const auto& [key, part] : value.items()) {
        if (properties.contains(key)) {
            if (const std::string wrong = against(properties[key], part, place + "/" + key); !wrong.empty()) return wrong;
        } else if (!schema.value("additionalProperties", true)) {
            return place + " has " + key;
        }
    }
    return "";
}

std::string against(const Json& schema, const Json& value, const std::string& place) {
    for (const auto& [keyword, wanted] : schema.items()) {
        if (keyword == "type" && !is_type(value, wanted)) return place + " is no " + wanted.get<std::string>();
        if (keyword == "enum" && std::find(wanted.begin(), wanted.end(), value) == wanted.end())
            return place + " is none of them";
        if (keyword == "minimum" && value.is_number() && value.get<double>() < wanted.get<double>())
            return place + " is too small";
        if (keyword == "items")
            for (size_t i = 0; i < value.size(); ++i)
                if (const std::string wrong = against(wanted, value[i], place + "/" + std::to_string(i)); !wrong.empty())
                    return wrong;
        if (keyword == "oneOf") {
            std::vector<std::string> wrong;
            for (const Json& one : wanted)
                if (const std::string why = against(one, value, place); !why.empty()) wrong.push_back(why);
            if (wrong.size() + 1 != wanted.size()) return testing::PrintToString(wrong);
        }
    }
    return value.is_object() ? object_against(schema, value, place) : "";
}

Json schema() {
    std::ifstream file(std::string(XB_SOURCE_DIR) + "/docs/trace.schema.json");
    return Json::parse(file);
}

TEST(Trace, FollowsItsSchema) {
    EXPECT_EQ(against(schema(), trace_json(example()), ""), "");
    EXPECT_EQ(against(schema(), trace_json(ArrivalSummary{}), ""), "");
}

// The schema is not one that everything follows.
TEST(Trace, TheSchemaRefusesWhatIsWrong) {
    const Json good = trace_json(example());
    const auto find = [&](const char* category) {
        for (size_t i = 0; i < good["traceEvents"].size(); ++i)
            if (good["traceEvents"][i].value("cat", "") == category) return i;
        return size_t{0};
    };
    const auto wrong = [&](const std::function<void(Json&)>& spoil) {
        Json trace = good;
        spoil(trace["traceEvents"][find("compute")]);
        return against(schema(), trace, "");
    };
    EXPECT_EQ(wrong([](Json&) {}), "");
    EXPECT_NE(wrong([](Json& event) { event["dur"] = -1; }), "");
    EXPECT_NE(wrong([](Json& event) { event.erase("ts"); }), "");
    EXPECT_NE(wrong([](Json& event) { event["ts"] = "1"; }), "");
    EXPECT_NE(wrong([](Json& event) { event["pid"] = "rank 0"; }), "");
    EXPECT_NE(wrong([](Json& event) { event["cat"] = "rest"; }), "");
    EXPECT_NE(wrong([](Json& event) { event["ph"] = "B"; }), "");
    EXPECT_NE(wrong([](Json& event) { event["args"]["step"] = 0; }), "");
}

TEST(Trace, HoldsTheSlicesOfEachRank) {
    const Json events = trace_json(example())["traceEvents"];
    const auto slices = [&](int pid, const std::string& category) {
        std::vector<Json> found;
        for (const Json& event : events)
            if (event["ph"] == "X" && event["pid"] == pid && event["cat"] == category) found.push_back(event);
        return found;
    };
    for (const char* category : {"step", "loader", "compute", "optimizer", "collective"})
        for (const int pid : {0, 1}) EXPECT_EQ(slices(pid, category).size(), 2u) << category << pid;
    const Json compute = slices(1, "compute")[1];
    EXPECT_NEAR(compute["ts"].get<double>(), 201 + 5 - 100, 1e-9);  // the first step begins at 100
    EXPECT_NEAR(compute["dur"].get<double>(), 55, 1e-9);
    EXPECT_NEAR(slices(0, "optimizer")[0]["dur"].get<double>(), 30.5, 1e-9);
    const Json sum = slices(1, "collective")[0];
    EXPECT_EQ(sum["tid"], 1);
    EXPECT_NEAR(sum["ts"].get<double>(), 101 + 22 - 100, 1e-9);  // from where it waits
    EXPECT_NEAR(sum["dur"].get<double>(), 8, 1e-9);
    EXPECT_NEAR(sum["args"]["arrived_us"].get<double>(), 21, 1e-9);
    EXPECT_EQ(sum["args"]["bytes"], 256);
    EXPECT_EQ(slices(0, "collective")[0]["tid"], 0);
}

TEST(Arrivals, DelaysOfARecord) {
    const Json delays = delays_json(example());
    ASSERT_EQ(delays.size(), 1u);
    EXPECT_EQ(delays[0], (Json{{"bucket", 0},
                               {"collective", "all_reduce"},
                               {"bytes", 256},
                               {"thread", 0},
                               {"rank", 1},
                               {"share_last", 0.75},
                               {"delay_ms", 0.5},
                               {"wait_ms", 0.625},
                               {"transfer_ms", 0.0625},
                               {"steps", 2}}));
}

TEST(Arrivals, AsCsv) {
    EXPECT_THAT(arrivals_csv(example()),
                testing::StartsWith("step,track,site,collective,bytes,rank,arrived_us,resumed_us,done_us\n"
                                    "1,0,0,all_reduce,256,0,20.000,22.000,30.000\n"
                                    "2,0,0,all_reduce,256,0,120.000,122.000,130.000\n"
                                    "1,1,0,all_reduce,256,1,21.000,23.000,31.000\n"));
}

// Steps of 1 ms with 3% noise, and 0.6 us more where they were logged: 40,000 steps tell it to half a microsecond.
TEST(LoggingCost, IsTheDifferenceOfLoggedSteps) {
    Random random(1, RandomUse::test_data);
    const auto cost_of = [&](double planted_us, size_t steps, size_t short_batch_every = 1u << 30) {
        std::vector<int64_t> times, images;
        for (size_t i = 0; i < steps; ++i) {
            const bool logged = ArrivalLog::is_logged(ArrivalLog::When::alternate, static_cast<uint32_t>(i) + 8);
            const bool short_batch = i % short_batch_every == short_batch_every - 1;
            images.push_back(short_batch ? 10 : 64);
            times.push_back(static_cast<int64_t>((short_batch ? 2e5 : 1e6) * (1 + 0.03 * random.normal()) +
                                                 (logged ? planted_us * 1000 : 0)));
        }
        return logging_cost(times, images, 8);
    };
    const auto small = cost_of(0.6, 40000), large = cost_of(5, 40000, 10);
    ASSERT_TRUE(small && large);
    EXPECT_EQ(small->steps, 40000);
    EXPECT_LE(small->us.low, 0.6);
    EXPECT_GE(small->us.high, 0.6);
    EXPECT_LT(small->us.high - small->us.low, 3);
    EXPECT_NEAR(large->us.median, 5, 1.5);
    EXPECT_NEAR(large->share_of_step, 0.005, 0.0015);
    EXPECT_FALSE(cost_of(1, 200));
}

}  // namespace
}  // namespace xbench
