// Through libzip, which reads the central directory and zip64, and checks CRCs at an entry's end.
#include "data/import/npz.h"

#include <zip.h>

#include <algorithm>
#include <fstream>
#include <utility>

#include <fmt/core.h>

#include "core/error.h"
#include "core/utf8.h"

namespace xbench {
namespace {

constexpr uint64_t most_compression = 1100;  // deflate reaches about 1032 to 1
constexpr uint64_t most_labels_bytes = uint64_t{1} << 30;
constexpr size_t first_bytes = (size_t{64} << 10) + 12;
constexpr int64_t most_entries = 10000;

}  // namespace

struct NpzFile::State {
    struct Entry {
        zip_uint64_t index = 0, bytes = 0;
        bool known = false;  // its head
        NpyHead head;
    };
    std::string path;
    zip_t* zip = nullptr;
    zip_file_t* file = nullptr;  // of the array under way
    std::string current;
    uint64_t left = 0;
    std::map<std::string, Entry> entries;

    [[noreturn]] void fail(const std::string& what, const std::string& entry = {}) const {
        throw Error(what, escape_bytes(path) + (entry.empty() ? "" : "[" + escape_bytes(entry) + "]"));
    }
    void close() {
        if (file != nullptr) zip_fclose(std::exchange(file, nullptr));
    }
    void open(const std::string& name) {
        close();
        file = zip_fopen_index(zip, entries.at(name).index, 0);
        current = name;
        if (file == nullptr) fail("cannot be unpacked (encrypted, or damaged)", name);
    }
    void take(uint8_t* data, uint64_t bytes) {
        while (bytes > 0) {
            const zip_int64_t got = zip_fread(file, data, bytes);
            if (got <= 0) fail(got < 0 ? "is damaged: its checksum or its packing is wrong" : "ends too early", current);
            data += got;
            bytes -= static_cast<uint64_t>(got);
        }
    }
    void add_entry(zip_uint64_t index) {
        zip_stat_t status;
        zip_stat_init(&status);
        constexpr zip_uint64_t wanted = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
        if (zip_stat_index(zip, index, 0, &status) != 0 || (status.valid & wanted) != wanted)
            fail("has a damaged directory");
        std::string name = status.name;
        if (!name.ends_with(".npy")) return;
        name.resize(name.size() - 4);
        if (status.comp_method != ZIP_CM_STORE && status.comp_method != ZIP_CM_DEFLATE)
            fail(fmt::format("is packed by method {}; 0 and 8 can be read", status.comp_method), name);
        if (status.size / most_compression > status.comp_size) fail("claims more bytes than it can hold", name);
        if (!entries.emplace(name, Entry{index, status.size, false, {}}).second) fail("is there twice", name);
    }
};

bool is_zip(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    char head[4] = {};
    return file.read(head, 4) && head[0] == 'P' && head[1] == 'K' && (head[2] == 3 || head[2] == 5);
}

NpzFile::NpzFile(const std::string& path) : state_(std::make_unique<State>()) {
    State& s = *state_;
    s.path = path;
    int failure = 0;
    s.zip = zip_open(path.c_str(), ZIP_RDONLY, &failure);
    if (s.zip == nullptr) s.fail("is no readable zip file, or is cut off");
    const zip_int64_t count = zip_get_num_entries(s.zip, 0);
    if (count > most_entries) s.fail(fmt::format("has {} entries", count));
    for (zip_int64_t i = 0; i < count; ++i) s.add_entry(static_cast<zip_uint64_t>(i));
}

NpzFile::~NpzFile() {
    state_->close();
    if (state_->zip != nullptr) zip_discard(state_->zip);
}

bool NpzFile::has(const std::string& name) const { return state_->entries.contains(name); }

std::vector<std::string> NpzFile::names() const {
    std::vector<std::string> names;
    for (const auto& entry : state_->entries) names.push_back(entry.first);
    return names;
}

const NpyHead& NpzFile::head(const std::string& name) {
    State& s = *state_;
    const auto found = s.entries.find(name);
    if (found == s.entries.end()) s.fail(fmt::format("has no array '{}'", name));
    State::Entry& entry = found->second;
    if (entry.known) return entry.head;
    s.open(name);
    std::string start(std::min<uint64_t>(first_bytes, entry.bytes), '\0');
    s.take(reinterpret_cast<uint8_t*>(start.data()), start.size());
    s.close();
    try {
        entry.head = parse_npy(start);
        if (entry.head.elements() * static_cast<uint64_t>(entry.head.bytes) + entry.head.head_bytes != entry.bytes)
            throw Error("its shape does not fit its bytes");
    } catch (const Error& error) {
        s.fail(error.what(), name);
    }
    entry.known = true;
    return entry.head;
}

void NpzFile::start(const std::string& name) {
    const NpyHead& of = head(name);
    State& s = *state_;
    s.open(name);
    std::vector<uint8_t> skipped(of.head_bytes);
    s.take(skipped.data(), skipped.size());
    s.left = s.entries.at(name).bytes - of.head_bytes;
}

void NpzFile::read(std::span<uint8_t> bytes) {
    State& s = *state_;
    if (bytes.size() > s.left) s.fail("ends too early", s.current);
    s.take(bytes.data(), bytes.size());
    s.left -= bytes.size();
    if (s.left > 0) return;
    uint8_t beyond;  // reading on at the end checks the sum
    if (zip_fread(s.file, &beyond, 1) != 0) s.fail("is damaged: its checksum is wrong", s.current);
}

std::vector<uint8_t> NpzFile::read_all(const std::string& name) {
    const NpyHead& of = head(name);
    const uint64_t bytes = of.elements() * static_cast<uint64_t>(of.bytes);
    if (bytes > most_labels_bytes) state_->fail("is too large for labels", name);
    std::vector<uint8_t> all(bytes);
    start(name);
    if (!all.empty()) read(all);
    return all;
}

}  // namespace xbench
