// The file: a line of text that is the key, the head, then records of a length, a checksum and that many bytes.
#include "data/import/journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <fmt/core.h>

#include "core/error.h"
#include "core/hash.h"

namespace xbench {
namespace {

constexpr size_t key_bytes = 32, checksum_bytes = 32;
constexpr uint64_t longest_outcome = uint64_t{1} << 20;

struct RecordHead {
    uint64_t bytes = 0;
    char checksum[checksum_bytes] = {};
};

// Of everything that decides which bytes a record of the list has.
std::string key_of(const ImportOptions& options, const ImportList& list) {
    Hash hash;
    hash.add(fmt::format("journal 2 {} {} {}\n", options.created_by, options.channels, options.size));
    hash.add(options.source);
    for (const ImportItem& item : list.items) hash.add(fmt::format("\n{}\n{}", item.path, item.frame));
    return hash.hex();
}

bool read_fully(int file, void* data, size_t bytes, int64_t at) {
    auto* to = static_cast<char*>(data);
    while (bytes > 0) {
        const ssize_t got = ::pread(file, to, bytes, at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        to += got, at += got, bytes -= static_cast<size_t>(got);
    }
    return true;
}

bool write_fully(int file, const void* data, size_t bytes, int64_t at) {
    const auto* from = static_cast<const char*>(data);
    while (bytes > 0) {
        const ssize_t put = ::pwrite(file, from, bytes, at);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return false;
        from += put, at += put, bytes -= static_cast<size_t>(put);
    }
    return true;
}

// What imports of this set that were killed had written of it: temporary files (core/durable_file.h) of processes that are
// gone. For who holds the journal's lock.
void remove_remains(const std::filesystem::path& set) {
    const std::string start = set.filename().string() + ".tmp.";
    std::error_code ignored;
    std::filesystem::directory_iterator entry(set.has_parent_path() ? set.parent_path() : ".", ignored);
    while (!ignored && entry != std::filesystem::directory_iterator()) {
        const std::filesystem::path file = entry->path();
        entry.increment(ignored);
        const std::string name = file.filename().string();
        if (!name.starts_with(start)) continue;
        pid_t process = 0;
        const char* const end = name.data() + name.size();
        const auto [stop, failure] = std::from_chars(name.data() + start.size(), end, process);
        if (failure != std::errc{} || stop != end || process <= 0) continue;
        if (::kill(process, 0) != 0 && errno == ESRCH) ::unlink(file.c_str());
    }
}

}  // namespace

std::string journal_path(const std::string& set) { return set + ".import-journal"; }

struct ImportJournal::State {
    std::string path, source, key;
    int file = -1;
    Head head;
    int64_t first = 0, at = 0, taken = 0;  // byte of the first record, of the next one; files
    bool reading = true;                   // no record was refused yet
    bool writable = true;
    std::vector<std::byte> bytes;

    std::string path_of(const ImportItem& item) const { return path_below(source, item.path); }

    void open() {
        file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (file < 0)
            throw Error(std::strerror(errno), path, "check that the folder is writable, and that no folder has this name");
        if (::flock(file, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
            throw Error("another import is writing this set", path, "wait for it, or choose another --out");
        std::string stored(key_bytes, '\0');
        const bool known = read_fully(file, stored.data(), key_bytes, 0) && stored == key &&
                           read_fully(file, &head, sizeof head, key_bytes) &&
                           (head.bytes_per_pixel == 1 || head.bytes_per_pixel == 2);
        first = at = static_cast<int64_t>(key_bytes + sizeof head);
        if (!known) begin({});
    }
    void begin(Head wanted) {
        head = wanted;
        at = first;
        reading = false;
        taken = 0;
        std::vector<char> start(static_cast<size_t>(first));
        std::memcpy(start.data(), key.data(), key_bytes);
        std::memcpy(start.data() + key_bytes, &head, sizeof head);
        writable = ::ftruncate(file, 0) == 0 && write_fully(file, start.data(), start.size(), 0);
    }
    // The bytes of the next record; false where there is none, or a damaged one.
    bool read_record(size_t image_bytes) {
        RecordHead record;
        if (!read_fully(file, &record, sizeof record, at) || record.bytes > longest_outcome + image_bytes) return false;
        bytes.resize(record.bytes);
        if (!read_fully(file, bytes.data(), bytes.size(), at + static_cast<int64_t>(sizeof record))) return false;
        const std::string sum = hash_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
        return std::memcmp(sum.data(), record.checksum, checksum_bytes) == 0;
    }
    bool take(const ImportItem& item, size_t image_bytes, DecodedFile& outcome, uint8_t* pixels) {
        if (!reading || !read_record(image_bytes)) return false;
        Unpacker from(bytes);
        std::string name;
        int64_t frame = 0;
        FileStamp stamp;
        from.take(name);
        from.take(frame);
        from.take(stamp);
        if (name != item.path || frame != item.frame || stamp != stamp_of(path_of(item)) || stamp.size < 0) return false;
        from.take(outcome);
        if (outcome.has_pixels()) from.take(pixels, image_bytes);
        at += static_cast<int64_t>(sizeof(RecordHead) + bytes.size());
        ++taken;
        return true;
    }
    void pack(Packer& all, const ImportItem& item, size_t image_bytes, const DecodedFile& outcome,
              const uint8_t* pixels) const {
        Packer one;
        one.add(item.path);
        one.add(item.frame);
        one.add(outcome.stamp.size >= 0 ? outcome.stamp : stamp_of(path_of(item)));
        one.add(outcome);
        if (outcome.has_pixels()) one.add(pixels, image_bytes);
        RecordHead record;
        record.bytes = one.bytes.size();
        const std::string sum = hash_hex({reinterpret_cast<const char*>(one.bytes.data()), one.bytes.size()});
        std::memcpy(record.checksum, sum.data(), checksum_bytes);
        all.add(record);
        all.add(one.bytes.data(), one.bytes.size());
    }
};

ImportJournal::ImportJournal(const ImportOptions& options, const ImportList& list) : state_(std::make_unique<State>()) {
    state_->path = journal_path(options.out);
    state_->source = options.source;
    state_->key = key_of(options, list);
    state_->open();
    remove_remains(options.out);
}

ImportJournal::~ImportJournal() {
    if (state_->file >= 0) ::close(state_->file);
}

ImportJournal::Head ImportJournal::head() const { return state_->head; }
int64_t ImportJournal::taken() const { return state_->taken; }
void ImportJournal::begin(Head head) { state_->begin(head); }

void ImportJournal::rewind() {
    state_->at = state_->first;
    state_->taken = 0;
    state_->reading = true;
}

size_t ImportJournal::take(std::span<const ImportItem> items, size_t image_bytes, DecodedFile* files, uint8_t* pixels) {
    State& s = *state_;
    size_t taken = 0;
    while (taken < items.size() && s.take(items[taken], image_bytes, files[taken], pixels + taken * image_bytes)) ++taken;
    if (taken == items.size() || !s.reading) return taken;
    s.reading = false;
    s.writable = s.writable && ::ftruncate(s.file, s.at) == 0;
    return taken;
}

void ImportJournal::add(std::span<const ImportItem> items, size_t image_bytes, const DecodedFile* files,
                        const uint8_t* pixels) {
    State& s = *state_;
    if (!s.writable) return;
    Packer all;
    for (size_t i = 0; i < items.size(); ++i) s.pack(all, items[i], image_bytes, files[i], pixels + i * image_bytes);
    s.writable = write_fully(s.file, all.bytes.data(), all.bytes.size(), s.at);
    if (s.writable) s.at += static_cast<int64_t>(all.bytes.size());
}

void ImportJournal::remove() { ::unlink(state_->path.c_str()); }

}  // namespace xbench
