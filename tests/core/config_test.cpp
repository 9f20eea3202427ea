// The configuration: every kind of mistake with its exact message, settings, defaults, round trip, schema and documentation.
#include "core/config.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/config_fields.h"
#include "core/error.h"

namespace xbench {
namespace {

std::string mistakes(const std::string& text, const std::vector<std::string>& settings = {},
                     const std::vector<std::string>& models = {}) {
    try {
        parse_config(text, "t.json", settings, models);
    } catch (const UsageError& error) {
        EXPECT_EQ(error.code(), ExitCode::usage);
        return error.what();
    }
    return "";
}

std::string file_text(const std::string& path) {
    std::ifstream file(std::string(XB_SOURCE_DIR) + "/" + path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

TEST(ConfigErrors, UnknownKeyNamesPositionPathAndNearestKey) {
    const std::string text =
        "{ \"model\": \"m\",\n  \"data\": {\"path\": \"d.h5\"},\n  \"train\": {\n        \"learnig_rate\": 0.1 } }";
    EXPECT_EQ(mistakes(text), "t.json:4:9 /train/learnig_rate: unknown key; did you mean learning_rate?");
}

TEST(ConfigErrors, UnknownKeyThatBelongsElsewhere) {
    EXPECT_EQ(mistakes(R"({"learning_rate": 1})"),
              "t.json:1:2 /learning_rate: unknown key here; did you mean /train/learning_rate?");
}

TEST(ConfigErrors, UnknownKeyWithoutLikeness) {
    EXPECT_EQ(mistakes(R"({"data": {"zzzzzzzz": 1}})"),
              "t.json:1:11 /data/zzzzzzzz: unknown key; known here: path, synthetic, mean, std, workers, memory_mib, leaks");
}

TEST(ConfigErrors, AllMistakesAtOnceInTheFilesOrder) {
    const std::string text = R"({
  "nam": "x",
  "train": {"epochs": 0, "seed": "one",
            "batch_size": 2.5},
  "scaling": 3
})";
    EXPECT_EQ(mistakes(text),
              "t.json:2:3 /nam: unknown key; did you mean name?\n"
              "t.json:3:23 /train/epochs: 0 is out of range; at least 1 and at most 1000000\n"
              "t.json:3:34 /train/seed: expected a whole number, got the text \"one\"\n"
              "t.json:4:27 /train/batch_size: expected a whole number, got 2.5\n"
              "t.json:5:14 /scaling: expected an object {...}, got 3");
}

TEST(ConfigErrors, Types) {
    EXPECT_EQ(mistakes(R"({"name": 1})"), "t.json:1:10 /name: expected a text, got 1");
    EXPECT_EQ(mistakes(R"({"scaling": {"oversubscribe": "yes"}})"),
              "t.json:1:31 /scaling/oversubscribe: expected true or false, got the text \"yes\"");
    EXPECT_EQ(mistakes(R"({"train": {"learning_rate": null}})"),
              "t.json:1:29 /train/learning_rate: expected a number, got null");
    EXPECT_EQ(mistakes(R"({"model": 3})"), "t.json:1:11 /model: expected a model's name or an object {...}, got 3");
    EXPECT_EQ(mistakes(R"({"sweep": {}})"), "t.json:1:11 /sweep: expected a list of rows [{...}], got an object");
    EXPECT_EQ(mistakes(R"([])"), "t.json:1:1 /: expected an object {...}, got a list");
    EXPECT_EQ(mistakes(R"({"train": {"seed": -1}})"), "t.json:1:20 /train/seed: -1 is out of range; at least 0");
}

TEST(ConfigErrors, Choices) {
    EXPECT_EQ(mistakes(R"({"train": {"optimizer": "adm"}})"),
              "t.json:1:25 /train/optimizer: unknown value \"adm\"; did you mean adam?");
    EXPECT_EQ(mistakes(R"({"train": {"optimizer": "lamb9999"}})"),
              "t.json:1:25 /train/optimizer: unknown value \"lamb9999\"; one of adam, adamw, sgd");
    EXPECT_EQ(mistakes(R"({"train": {"precision": "bf16"}})"), "");
    EXPECT_EQ(mistakes(R"({"train": {"precision": "fp16"}})"), "");
    EXPECT_EQ(mistakes(R"({"train": {"batchnorm": "local"}})"), "");
}

TEST(ConfigErrors, DuplicateKeys) {
    EXPECT_EQ(mistakes("{\"name\": \"a\",\n \"name\": \"b\"}"), "t.json:2:2 /name: duplicate key; first given at 1:2");
}

TEST(ConfigErrors, SyntaxHasAPosition) {
    const std::string message = mistakes("{\n  \"name\": \"a\",\n  oops\n}");
    EXPECT_TRUE(message.starts_with("t.json:3:3: syntax error while parsing object key")) << message;
    EXPECT_EQ(mistakes("{\"train\": {\n \"learning_rate\": 1e999}}"), "t.json:2:19: number overflow parsing '1e999'");
    EXPECT_TRUE(mistakes("").starts_with("t.json:1:1: ")) << mistakes("");
    EXPECT_NE(mistakes(std::string(5000, '[') + std::string(5000, ']')), "");
}

TEST(ConfigErrors, RulesBetweenFields) {
    EXPECT_EQ(mistakes(R"({"train": {"batch_size": 4}})"),
              "t.json:1:11 /train/virtual_ranks: 8 virtual ranks for a batch of 4; set virtual_ranks to at most batch_size");
    EXPECT_EQ(mistakes(R"({"sweep": [{"trainer": "cpu_ddp", "ranks": [2, 16]}]})"),
              "t.json:1:44 /sweep/0/ranks: 16 ranks for 8 virtual ranks; raise train.virtual_ranks");
    EXPECT_EQ(mistakes(R"({"sweep": [{"trainer": "serial", "ranks": 2}]})"),
              "t.json:1:43 /sweep/0/ranks: serial has one rank, not 2; use cpu_ddp for more");
    EXPECT_EQ(mistakes(R"({"sweep": [{"trainer": "sharded"}]})"), "t.json:1:12 /sweep/0: sharded needs a stage; 1, 2 or 3");
    EXPECT_EQ(mistakes(R"({"sweep": [{"trainer": "serial", "stage": 1}]})"),
              "t.json:1:43 /sweep/0/stage: serial has no stages; remove the key, or use sharded");
    EXPECT_EQ(mistakes(R"({"sweep": [{"ranks": 2}]})"),
              "t.json:1:12 /sweep/0: no trainer; one of serial, cpu_ddp, gpu_ddp, sharded");
    EXPECT_EQ(mistakes(R"({"sweep": [{"trainer": "cpu_ddp", "ranks": []}]})"),
              "t.json:1:44 /sweep/0/ranks: the list is empty; give at least one");
    EXPECT_EQ(mistakes(R"({"data": {"path": "a", "synthetic": {"count": 9}}})"),
              "t.json:1:37 /data/synthetic: both path and synthetic are given; keep one of them");
    EXPECT_EQ(mistakes(R"({"data": {"synthetic": {"size": 32}}})"),
              "t.json:1:24 /data/synthetic: no count; give the number of images to generate");
    EXPECT_EQ(mistakes(R"({"data": {}})"), "t.json:1:10 /data: neither path nor synthetic is given; name a data set");
}

TEST(ConfigErrors, RulesAreCheckedBesideOtherMistakes) {
    EXPECT_EQ(
        mistakes(R"({"nam": 1, "train": {"batch_size": 4, "epochs": 0}, "sweep": [{"trainer": "serial", "ranks": 2}]})"),
        "t.json:1:2 /nam: unknown key; did you mean name?\n"
        "t.json:1:21 /train/virtual_ranks: 8 virtual ranks for a batch of 4; set virtual_ranks to at most batch_size\n"
        "t.json:1:49 /train/epochs: 0 is out of range; at least 1 and at most 1000000\n"
        "t.json:1:94 /sweep/0/ranks: serial has one rank, not 2; use cpu_ddp for more");
}

TEST(ConfigErrors, ListElementsHaveTheirOwnPosition) {
    EXPECT_EQ(mistakes(R"({"sweep": [{"trainer": "cpu_ddp", "ranks": [1, "two"]}]})"),
              "t.json:1:48 /sweep/0/ranks/1: expected a whole number, got the text \"two\"");
}

TEST(ConfigErrors, UnknownModelProposesTheNearest) {
    const std::vector<std::string> models{"pneumonia_cnn", "fracture_cnn"};
    EXPECT_EQ(mistakes(R"({"model": "pnuemonia_cnn"})", {}, models),
              "t.json:1:11 /model/name: unknown model \"pnuemonia_cnn\"; did you mean pneumonia_cnn?");
    EXPECT_EQ(mistakes(R"({"model": {"name": "bert"}})", {}, models),
              "t.json:1:20 /model/name: unknown model \"bert\"; one of pneumonia_cnn, fracture_cnn");
}

TEST(ConfigErrors, Settings) {
    EXPECT_EQ(mistakes("{}", {"train.learnig_rate=1"}),
              "--set train.learnig_rate=1 /train/learnig_rate: unknown key; did you mean learning_rate?");
    EXPECT_EQ(mistakes("{}", {"train.epochs"}), "--set train.epochs: not a setting; write key.path=value");
    EXPECT_EQ(mistakes("{}", {"train.epochs=many"}),
              "--set train.epochs=many /train/epochs: expected a whole number, got the text \"many\"");
    EXPECT_EQ(mistakes("{}", {"sweep.3.ranks=2"}),
              "--set sweep.3.ranks=2 /sweep: expected a list of rows [{...}], got an object");
    EXPECT_EQ(mistakes(R"({"sweep": [{"trainer": "serial"}]})", {"sweep.3.threads=2"}),
              "--set sweep.3.threads=2 /sweep/3/threads: no such place in the configuration");
}

TEST(Config, SettingsReplaceValues) {
    const std::string text = R"({"model": "m", "sweep": [{"trainer": "serial"}, {"trainer": "cpu_ddp"}]})";
    const Config config = parse_config(text, "t.json",
                                       {"train.epochs=7", "model.widths=[4,8]", "name=12", "sweep.1.ranks=[1,2]",
                                        "data.path=x.h5", "train.optimizer=sgd", "scaling.oversubscribe=true"});
    EXPECT_EQ(config.train.epochs, 7);
    EXPECT_EQ(config.model.name, "m");
    EXPECT_EQ(config.model.widths, (std::vector<int64_t>{4, 8}));
    EXPECT_EQ(config.name, "12");
    EXPECT_EQ(config.sweep[1].ranks, (std::vector<int64_t>{1, 2}));
    EXPECT_EQ(config.data.path, "x.h5");
    EXPECT_EQ(config.train.optimizer, "sgd");
    EXPECT_TRUE(config.scaling.oversubscribe);
}

TEST(Config, NumberOrListAndNameOrObject) {
    const Config one = parse_config(
        R"({"model": {"name": "m"}, "sweep": [{"trainer": "cpu_ddp", "ranks": 2, "threads": [1, 2]}]})", "t.json");
    EXPECT_EQ(one.model.name, "m");
    EXPECT_EQ(one.sweep[0].ranks, (std::vector<int64_t>{2}));
    EXPECT_EQ(one.sweep[0].threads, (std::vector<int64_t>{1, 2}));
}

TEST(Config, WrittenAndReadAgainIsTheSame) {
    const Config config =
        parse_config(R"({"model": {"name": "m", "dropout": 0.25}, "data": {"synthetic": {"count": 64, "channels": 3}},
        "train": {"seed": 18446744073709551, "pos_weight": [1, 2.5]}, "sweep": [{"trainer": "sharded", "stage": 3, "ranks": [1, 2]}]})",
                     "t.json");
    const Json written = to_json(config);
    EXPECT_EQ(to_json(parse_config(written.dump(), "again.json")), written);
    EXPECT_EQ(written["train"]["pos_weight"], Json({1.0, 2.5}));
    EXPECT_FALSE(written["data"].contains("path"));
    EXPECT_TRUE(to_json(parse_config("{}", "t"))["model"]["dropout"].is_null());
}

TEST(Config, EveryFieldIsInTheResolvedConfiguration) {
    Config config = parse_config(R"({"data": {"synthetic": {"count": 64}}, "sweep": [{"trainer": "serial"}]})", "t.json");
    const Json synthetic = to_json(config);
    config.data.path = "x";
    config.data.synthetic.count = 0;
    const Json path = to_json(config);
    for (const ConfigField& field : config_fields()) {
        std::string pointer = field.path;
        if (const size_t star = pointer.find('*'); star != std::string::npos) pointer[star] = '0';
        EXPECT_TRUE(synthetic.contains(Json::json_pointer(pointer)) || path.contains(Json::json_pointer(pointer)))
            << pointer;
    }
}

TEST(Config, FileMustExistAndBeComplete) {
    EXPECT_THROW(load_config("no/such/file.json"), UsageError);
    const std::string path = testing::TempDir() + "/incomplete.json";
    std::ofstream(path) << "{}";
    try {
        load_config(path);
        FAIL() << "an empty configuration was taken";
    } catch (const UsageError& error) {
        EXPECT_EQ(std::string(error.what()), path + ":1:1 /: no model; A name, or an object.\n" + path +
                                                 ":1:1 /: no data; Where images come from: path or synthetic.");
    }
}

TEST(Config, DataPathFallsBackToTheFilesFolder) {
    const std::string folder = testing::TempDir() + "/xb_config_folder_" + std::to_string(getpid());
    std::filesystem::create_directories(folder);
    std::ofstream(folder + "/set.h5") << "x";
    std::ofstream(folder + "/c.json") << R"({"model": "m", "data": {"path": "set.h5"}})";
    EXPECT_EQ(load_config(folder + "/c.json").data.path,
              std::filesystem::path(folder + "/set.h5").lexically_normal().string());
    EXPECT_EQ(load_config(folder + "/c.json", {"data.path=missing.h5"}).data.path, "missing.h5");
    std::filesystem::remove_all(folder);
}

TEST(Config, SampleFilesAreRead) {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(std::string(XB_SOURCE_DIR) + "/configs")) {
        if (entry.path().extension() != ".json") continue;
        EXPECT_NO_THROW(load_config(entry.path().string())) << entry.path();
        ++count;
    }
    EXPECT_GE(count, 2);
}

// Written files are made from the table; a changed table without them fails here.
TEST(ConfigDocs, AreUpToDate) {
    EXPECT_EQ(file_text("docs/config.schema.json"), config_schema().dump(2) + "\n")
        << "run: xbench --print-schema > docs/config.schema.json";
    EXPECT_EQ(file_text("docs/configuration.md"), config_markdown())
        << "run: xbench --print-config-docs > docs/configuration.md";
}

// A small validator of the draft-7 keywords that the schema uses.
bool valid(const Json& value, const Json& schema) {
    if (schema.contains("anyOf")) {
        bool any = false;
        for (const Json& option : schema["anyOf"]) any = any || valid(value, option);
        if (!any) return false;
    }
    if (schema.contains("oneOf")) {
        int matches = 0;
        for (const Json& option : schema["oneOf"]) matches += valid(value, option) ? 1 : 0;
        if (matches != 1) return false;
    }
    if (schema.contains("type")) {
        const Json types = schema["type"].is_array() ? schema["type"] : Json::array({schema["type"]});
        bool any = false;
        for (const Json& type : types)
            any = any || (type == "object" && value.is_object()) || (type == "array" && value.is_array()) ||
                  (type == "string" && value.is_string()) || (type == "integer" && value.is_number_integer()) ||
                  (type == "number" && value.is_number()) || (type == "boolean" && value.is_boolean()) ||
                  (type == "null" && value.is_null());
        if (!any) return false;
    }
    if (value.is_number()) {
        const double number = value.get<double>();
        if (schema.contains("minimum") && number < schema["minimum"].get<double>()) return false;
        if (schema.contains("maximum") && number > schema["maximum"].get<double>()) return false;
        if (schema.contains("exclusiveMinimum") && number <= schema["exclusiveMinimum"].get<double>()) return false;
        if (schema.contains("exclusiveMaximum") && number >= schema["exclusiveMaximum"].get<double>()) return false;
    }
    if (schema.contains("enum")) {
        bool any = false;
        for (const Json& choice : schema["enum"]) any = any || choice == value;
        if (!any) return false;
    }
    if (value.is_object() && schema.contains("required"))
        for (const Json& key : schema["required"])
            if (!value.contains(key.get<std::string>())) return false;
    if (value.is_object() && schema.contains("properties"))
        for (const auto& [key, member] : value.items()) {
            if (schema["properties"].contains(key) ? !valid(member, schema["properties"][key])
                                                   : schema.value("additionalProperties", true) == false)
                return false;
        }
    if (value.is_array() && schema.contains("minItems") && value.size() < schema["minItems"].get<size_t>()) return false;
    if (value.is_array() && schema.contains("items"))
        for (const Json& item : value)
            if (!valid(item, schema["items"])) return false;
    return true;
}

TEST(ConfigSchema, TakesWhatTheReaderTakesAndRefusesWhatItRefuses) {
    const Json schema = config_schema();
    EXPECT_EQ(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    for (const auto& entry : std::filesystem::directory_iterator(std::string(XB_SOURCE_DIR) + "/configs")) {
        if (entry.path().extension() != ".json") continue;
        const Json value = Json::parse(file_text("configs/" + entry.path().filename().string()));
        EXPECT_TRUE(valid(value, schema)) << entry.path();
        EXPECT_TRUE(valid(to_json(load_config(entry.path().string())), schema)) << entry.path();
    }
    const std::string data = R"("data": {"path": "x"})";
    for (const std::string bad :
         {R"("model": "m")", R"("model": "m", "data": {})", R"("model": {"widths": [1]}, "data": {"path": "x"})",
          R"("model": "m", "data": {"path": "x", "synthetic": {"count": 3}})"})
        EXPECT_FALSE(valid(Json::parse("{" + bad + "}"), schema)) << bad;
    for (const std::string bad :
         {R"("nam": 1)", R"("train": {"epochs": 0})", R"("train": {"epochs": "3"})", R"("train": {"optimizer": "x"})",
          R"("sweep": [{"trainer": "cpu_ddp", "ranks": []}])", R"("sweep": [{}])", R"("train": {"momentum": 1})"})
        EXPECT_FALSE(valid(Json::parse("{\"model\": \"m\", " + data + ", " + bad + "}"), schema)) << bad;
    EXPECT_TRUE(valid(Json::parse("{\"model\": \"m\", " + data + "}"), schema));
}

}  // namespace
}  // namespace xbench
