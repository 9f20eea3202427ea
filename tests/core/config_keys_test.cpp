// No key is dropped: each row of the field table, set to another value, changes the resolved configuration or is refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/config_fields.h"
#include "core/error.h"

namespace xbench {
namespace {

constexpr const char* base = R"({"model": "m", "data": {"path": "d.h5"}, "train": {"batch_size": 64},
                                 "sweep": [{"trainer": "cpu_ddp"}]})";
constexpr const char* synthetic =
    R"({"model": "m", "data": {"synthetic": {"count": 100}}, "sweep": [{"trainer": "serial"}]})";

// A value that the field's own row allows, other than the one it has.
struct OtherValue {
    const ConfigField& field;
    double near(double value) const {
        for (const double other : {value + 1, value - 1, value / 2, value + 0.25, 0.5, 16.0})
            if (other != value && field.range.contains(other)) return other;
        return value;
    }
    Json operator()(const std::string* value) const {
        for (const std::string& choice : field.choices)
            if (choice != *value) return choice;
        return *value + "x";
    }
    Json operator()(const bool* value) const { return !*value; }
    Json operator()(const double* value) const { return near(std::max(0.0, *value)); }
    Json operator()(const int64_t* value) const { return static_cast<int64_t>(near(static_cast<double>(*value))); }
    Json operator()(const uint64_t* value) const { return *value + 1; }
    Json operator()(const std::vector<int64_t>* value) const {
        return Json::array({value->empty() ? int64_t{3} : value->front() + 1});
    }
    Json operator()(const std::vector<std::string>* value) const { return Json::array({value->empty() ? "a" : "b"}); }
    Json operator()(const WordOrNumbers&) const { return field.choices.back(); }
    Json operator()(const std::vector<double>* value) const {
        return Json::array({value->empty() ? 3.5 : value->front() + 0.125});
    }
};

std::string replaced(std::string text, char from, char to) {
    std::replace(text.begin(), text.end(), from, to);
    return text;
}

TEST(ConfigKeys, EachChangesTheResolvedConfigurationOrIsRefused) {
    int changed = 0, refused = 0;
    for (const ConfigField& field : config_fields()) {
        std::string pointer = field.path;
        if (const size_t star = pointer.find('*'); star != std::string::npos) pointer[star] = '0';
        const char* text = pointer.find("/synthetic/") != std::string::npos ? synthetic : base;
        Config before = parse_config(text, "t");
        const Json value = std::visit(OtherValue{field}, field.slot(before, 0));
        const std::string setting = replaced(pointer.substr(1), '/', '.') + "=" + value.dump();
        try {
            const Json after = to_json(parse_config(text, "t", {setting}));
            EXPECT_EQ(after.at(Json::json_pointer(pointer)), value) << setting;
            EXPECT_NE(after, to_json(before)) << setting;
            EXPECT_EQ(to_json(parse_config(after.dump(), "again")), after) << setting;
            ++changed;
        } catch (const UsageError& error) {  // a rule between keys, which names this one
            EXPECT_NE(std::string(error.what()).find(pointer.substr(0, pointer.rfind('/'))), std::string::npos)
                << error.what();
            ++refused;
        }
    }
    EXPECT_GT(changed, 50);
    EXPECT_LT(refused, 12);
}

TEST(ConfigKeys, ASectionSetToNullIsTakenOut) {
    const Config config = parse_config(synthetic, "t", {"data.synthetic=null", "data.path=d.h5"});
    EXPECT_EQ(config.data.path, "d.h5");
    EXPECT_EQ(config.data.synthetic.count, 0);
    EXPECT_EQ(parse_config(base, "t", {"data.synthetic=null"}).data.path, "d.h5");
    EXPECT_THROW(parse_config(base, "t", {"data.synthetic=null", "data.synthetic.count=5"}), UsageError);  // beside a path
    EXPECT_THROW(parse_config(base, "t", {"train.epochs=null"}), UsageError);
}

}  // namespace
}  // namespace xbench
