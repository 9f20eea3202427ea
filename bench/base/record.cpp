// Records as JSON lines.
#include "bench/base/record.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "core/durable_file.h"
#include "core/error.h"

namespace xbench {
namespace {

// A descriptor that closes itself.
class File {
public:
    File(const std::filesystem::path& path, int flags)
        : path_(path.string()), fd_(::open(path_.c_str(), flags | O_CLOEXEC, 0644)) {
        if (fd_ < 0) fail("cannot be opened");
    }
    ~File() {
        if (fd_ >= 0) ::close(fd_);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    void write(const std::string& text) {
        for (size_t done = 0; done < text.size();) {
            const ssize_t count = ::write(fd_, text.data() + done, text.size() - done);
            if (count < 0 && errno != EINTR) fail("cannot be written");
            if (count > 0) done += static_cast<size_t>(count);
        }
    }
    void flush_to_disk() {
        if (::fsync(fd_) != 0 && errno != EINVAL && errno != EROFS) fail("cannot be flushed");
    }
    bool ends_with_newline() {
        const off_t size = ::lseek(fd_, 0, SEEK_END);
        char last = '\n';
        if (size > 0 && ::pread(fd_, &last, 1, size - 1) != 1) fail("cannot be read");
        return last == '\n';
    }

private:
    [[noreturn]] void fail(const char* what) { throw Error(fmt::format("{}: {}", what, std::strerror(errno)), path_); }
    std::string path_;
    int fd_;
};

template <class T>
T take(const Json& json, const char* key) {
    try {
        return json.at(key).get<T>();
    } catch (const Json::exception& error) {
        throw Error(fmt::format("no usable \"{}\": {}", key, json_reason(error)), "record");
    }
}

// What tables read of an object; the rest may be anything.
enum class Holds { text, number, flag };
struct KnownKey {
    const char* key;
    Holds holds;
};
constexpr KnownKey known_params[]{{"point", Holds::text},
                                  {"isa", Holds::text},
                                  {"trainer", Holds::text},
                                  {"epochs", Holds::number},
                                  {"patience", Holds::number},
                                  {"emulated", Holds::flag},
                                  {"communication_threads", Holds::number},
                                  {"ranks", Holds::number},
                                  {"threads", Holds::number},
                                  {"stage", Holds::number},
                                  {"slow_link_mb_per_s", Holds::number},
                                  {"slow_link_latency_us", Holds::number}};
constexpr KnownKey known_counters[]{{"epochs_run", Holds::number}, {"cores_shared", Holds::flag}};

void check_keys(const Json& object, const char* name, std::span<const KnownKey> known) {
    if (!object.is_object()) throw Error(fmt::format("\"{}\" is no object", name), "record");
    for (const auto& [key, holds] : known) {
        const auto found = object.find(key);
        if (found == object.end()) continue;
        const bool fits = holds == Holds::text     ? found->is_string()
                          : holds == Holds::number ? found->is_number()
                                                   : found->is_boolean();
        if (!fits) throw Error(fmt::format("no usable \"{}/{}\"", name, key), "record");
    }
}

}  // namespace

Json to_json(const Record& record) {
    const auto number_or_null = [](const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); };
    Json json{{"schema", record_schema}, {"run_id", record.run_id}, {"kind", record.kind}, {"bench", record.bench}};
    json["params"] = record.params;
    json["rep"] = record.rep;
    json["unit"] = record.unit;
    json["value"] = record.value;
    json["samples_ns"] = record.samples_ns;
    json["per_rank"] = record.per_rank;
    json["steady"] = record.steady;
    json["check"] = Json{{"ok", record.check_ok}, {"max_rel_err", number_or_null(record.max_rel_err)}};
    json["counters"] = record.counters;
    json["energy_j"] = number_or_null(record.energy_j);
    json["energy_why"] = record.energy_why;
    json["env_id"] = record.env_id;
    json["config_sha"] = record.config_sha;
    json["data_sha"] = record.data_sha;
    json["weights_hash"] = record.weights_hash;
    return json;
}

Record record_from(const Json& json) {
    if (const auto schema = take<std::string>(json, "schema"); schema != record_schema)
        throw Error("schema \"" + schema + "\" is not " + record_schema, "record");
    const auto optional_number = [](const Json& value) {
        return value.is_number() ? std::optional<double>(value.get<double>()) : std::nullopt;
    };
    Record record;
    record.run_id = take<std::string>(json, "run_id");
    record.kind = take<std::string>(json, "kind");
    record.bench = take<std::string>(json, "bench");
    record.params = take<Json>(json, "params");
    check_keys(record.params, "params", known_params);
    record.rep = take<int64_t>(json, "rep");
    record.unit = take<std::string>(json, "unit");
    record.value = take<double>(json, "value");
    record.samples_ns = take<std::vector<int64_t>>(json, "samples_ns");
    record.per_rank = take<Json>(json, "per_rank");
    record.steady = take<bool>(json, "steady");
    const Json check = take<Json>(json, "check");
    record.check_ok = take<bool>(check, "ok");
    record.max_rel_err = optional_number(take<Json>(check, "max_rel_err"));
    record.counters = take<Json>(json, "counters");
    check_keys(record.counters, "counters", known_counters);
    record.energy_j = optional_number(take<Json>(json, "energy_j"));
    record.energy_why = take<std::string>(json, "energy_why");
    record.env_id = take<std::string>(json, "env_id");
    record.config_sha = take<std::string>(json, "config_sha");
    record.data_sha = take<std::string>(json, "data_sha");
    record.weights_hash = take<std::string>(json, "weights_hash");
    return record;
}

void append_records(const std::filesystem::path& path, std::span<const Record> records) {
    File file(path, O_RDWR | O_CREAT | O_APPEND);
    if (!file.ends_with_newline()) file.write("\n");
    for (const Record& record : records) file.write(json_text(to_json(record)) + "\n");
    file.flush_to_disk();
}

std::vector<Record> read_records(const std::filesystem::path& path) {
    std::ifstream file(path);
    if (!file) throw Error("cannot be read", path.string(), "name a records.jsonl that a run has written");
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    std::vector<Record> records;
    for (size_t i = 0; i < lines.size(); ++i) {
        if (lines[i].empty()) continue;
        const std::optional<Json> json = parse_json(lines[i]);
        if (!json && i + 1 == lines.size()) break;  // torn by a kill
        const std::string where = fmt::format("{}:{}", path.string(), i + 1);
        if (!json) throw Error("not a line of JSON", where);
        try {
            records.push_back(record_from(*json));
        } catch (const Error& error) {
            throw Error(error.what(), where);
        }
    }
    return records;
}

void write_text(const std::filesystem::path& path, const std::string& text) { write_durably(path, text); }

}  // namespace xbench
