// The import: windows of files are decoded and resized by all threads while the window before is written; the order of
// the set is the order of the paths, whatever the number of threads.
#include "data/import/import.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <numeric>
#include <optional>
#include <set>
#include <unordered_map>

#include <fmt/core.h>

#include "core/error.h"
#include "core/hash.h"
#include "core/parallel_for.h"
#include "data/import/csv.h"
#include "data/import/decoders.h"
#include "data/import/import_list.h"
#include "data/import/resize.h"
#include "data/set/h5.h"

namespace xbench {
namespace {

constexpr int64_t window_per_thread = 64;  // files a thread gets before the results are written
constexpr int64_t most_file_bytes = int64_t{1} << 30;

// Throws Error with the system's reason.
void read_file(const std::string& path, std::vector<uint8_t>& bytes) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe must not make the import wait
    if (file < 0) throw Error(std::strerror(errno));
    struct stat status {};
    std::string failure;
    if (::fstat(file, &status) != 0 || !S_ISREG(status.st_mode))
        failure = "not a regular file";
    else if (status.st_size > most_file_bytes)
        failure = "above 1 GiB";
    bytes.resize(failure.empty() ? static_cast<size_t>(status.st_size) : 0);
    size_t got = 0;
    while (failure.empty() && got < bytes.size()) {
        const ssize_t count = ::read(file, bytes.data() + got, bytes.size() - got);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) failure = std::strerror(errno);
        if (count <= 0) break;
        got += static_cast<size_t>(count);
    }
    ::close(file);
    if (!failure.empty()) throw Error(failure);
    bytes.resize(got);
}

// What a thread keeps between files.
struct Worker {
    Resizer resizer;
    std::vector<uint8_t> file, planes;
};

class Importer {
public:
    Importer(const ImportOptions& options, const ImportObserver& observer)
        : options_(options),
          observer_(observer),
          source_(options.source),
          threads_(options.threads > 0 ? options.threads : usable_cores()),
          workers_(static_cast<size_t>(threads_)) {}

    ImportReport run();

private:
    struct Window {
        std::vector<uint8_t> pixels;
        std::vector<std::string> digests, failures;  // an item each; a failure is empty when all is well
    };

    void check() const;
    std::string path_of(const ImportItem& item) const { return (source_ / item.path).string(); }
    bool decode_all(int bytes_per_pixel);
    void decode(int64_t first, Window& window);
    void decode_one(const ImportItem& item, Worker& worker, std::string& digest, uint8_t* pixels);
    void keep(int64_t first, Window& window);
    void tell(int64_t done) const;
    SetRecords make_records();
    std::vector<std::string> leak_free_groups() const;
    std::vector<uint8_t> make_splits();
    void carve_val(std::vector<uint8_t>& splits);
    std::vector<int32_t> strata() const;
    void count_classes(const SetRecords& records);
    void count_leaks(const SetRecords& records);
    void write_quarantine() const;

    const ImportOptions& options_;
    const ImportObserver& observer_;
    const std::filesystem::path source_;
    const int threads_;
    const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
    std::vector<Worker> workers_;
    ImportList list_;
    DatasetInfo info_;
    size_t image_bytes_ = 0;
    std::atomic<bool> deeper_{false};  // a 16-bit image was met while the set was to have 8
    std::vector<const ImportItem*> kept_;
    std::vector<std::string> digests_;  // of the kept files' bytes
    std::optional<H5Writer> writer_;
    ImportReport report_;
};

void Importer::check() const {
    if (options_.channels != 1 && options_.channels != 3) throw UsageError("must be 1 or 3", "--channels");
    if (options_.size < 1 || options_.size > 4096) throw UsageError("must be 1 to 4096", "--size");
    if (options_.val_share < 0 || options_.val_share >= 1) throw UsageError("must be at least 0 and below 1", "--val-share");
    if (options_.out.empty()) throw UsageError("no file to write", "--out", "name the HDF5 set");
}

void Importer::decode_one(const ImportItem& item, Worker& worker, std::string& digest, uint8_t* pixels) {
    read_file(path_of(item), worker.file);
    digest = hash_hex({reinterpret_cast<const char*>(worker.file.data()), worker.file.size()});
    const Image image = decode_image(worker.file, static_cast<int>(options_.channels));
    if (image.bytes_per_sample == info_.bytes_per_pixel) {
        worker.resizer.resize(image, options_.size, options_.size, pixels);
        return;
    }
    if (image.bytes_per_sample > info_.bytes_per_pixel) {
        deeper_ = true;
        return;
    }
    // An 8-bit file among 16-bit ones: 0..255 becomes 0..65535.
    worker.planes.resize(image_bytes_ / 2);
    worker.resizer.resize(image, options_.size, options_.size, worker.planes.data());
    for (size_t i = 0; i < worker.planes.size(); ++i) {
        const auto wide = static_cast<uint16_t>(worker.planes[i] * 257);
        std::memcpy(pixels + 2 * i, &wide, sizeof wide);
    }
}

void Importer::decode(int64_t first, Window& window) {
    const int64_t count = std::min(window_per_thread * threads_, static_cast<int64_t>(list_.items.size()) - first);
    window.pixels.resize(static_cast<size_t>(count) * image_bytes_);
    window.digests.assign(static_cast<size_t>(count), {});
    window.failures.assign(static_cast<size_t>(count), {});
    parallel_for(count, threads_, 1, [&](int64_t i, int worker) {
        const auto at = static_cast<size_t>(i);
        try {
            decode_one(list_.items[static_cast<size_t>(first + i)], workers_[static_cast<size_t>(worker)],
                       window.digests[at], window.pixels.data() + at * image_bytes_);
        } catch (const Error& error) {
            window.failures[at] = error.what();
        } catch (const std::bad_alloc&) {
            window.failures[at] = "not enough memory to decode it";
        }
    });
}

void Importer::keep(int64_t first, Window& window) {
    size_t good = 0;
    for (size_t i = 0; i < window.failures.size(); ++i) {
        const ImportItem& item = list_.items[static_cast<size_t>(first) + i];
        if (!window.failures[i].empty()) {
            report_.quarantined.push_back({item.path, window.failures[i]});
            continue;
        }
        if (good != i)
            std::memcpy(window.pixels.data() + good * image_bytes_, window.pixels.data() + i * image_bytes_, image_bytes_);
        ++good;
        kept_.push_back(&item);
        digests_.push_back(std::move(window.digests[i]));
    }
    writer_->append({window.pixels.data(), good * image_bytes_});
}

void Importer::tell(int64_t done) const {
    if (!observer_ || done == 0) return;
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    const auto total = static_cast<int64_t>(list_.items.size());
    observer_({done, total, static_cast<int64_t>(report_.quarantined.size()),
               seconds * static_cast<double>(total - done) / static_cast<double>(done)});
}

// Makes the set's pixels, of 1 or 2 bytes. False when 8 bits turned out not to be enough; then nothing is kept.
bool Importer::decode_all(int bytes_per_pixel) {
    info_.bytes_per_pixel = bytes_per_pixel;
    image_bytes_ = static_cast<size_t>(info_.channels * info_.height * info_.width * bytes_per_pixel);
    writer_.emplace(options_.out, info_);
    kept_.clear();
    digests_.clear();
    deeper_ = false;
    report_.quarantined = list_.quarantined;
    std::array<Window, 2> windows;
    std::future<void> writing;
    const auto total = static_cast<int64_t>(list_.items.size());
    int64_t at = 0;
    for (size_t turn = 0; at < total; turn ^= 1) {
        Window& window = windows[turn];
        decode(at, window);
        if (writing.valid()) writing.get();
        if (deeper_) return false;
        tell(at);
        writing = std::async(std::launch::async, [this, at, &window] { keep(at, window); });
        at += static_cast<int64_t>(window.failures.size());
    }
    if (writing.valid()) writing.get();
    tell(total);
    return true;
}

// Group names for splitting: files of the same bytes belong together even when their groups say nothing.
std::vector<std::string> Importer::leak_free_groups() const {
    std::vector<size_t> parent(kept_.size());
    std::iota(parent.begin(), parent.end(), size_t{0});
    const auto root = [&](size_t i) {
        while (parent[i] != i) i = parent[i] = parent[parent[i]];
        return i;
    };
    std::unordered_map<std::string, size_t> by_group, by_digest;
    for (size_t i = 0; i < kept_.size(); ++i) {
        if (!kept_[i]->group.empty()) parent[root(i)] = root(by_group.emplace(kept_[i]->group, i).first->second);
        parent[root(i)] = root(by_digest.emplace(digests_[i], i).first->second);
    }
    std::vector<std::string> groups;
    for (size_t i = 0; i < kept_.size(); ++i) groups.push_back(fmt::format("{}", root(i)));
    return groups;
}

// The class that an image is balanced by: its first; of a multi-label image without any, one more.
std::vector<int32_t> Importer::strata() const {
    std::vector<int32_t> classes;
    for (const ImportItem* item : kept_) {
        classes.push_back(item->classes.empty() ? static_cast<int32_t>(list_.class_names.size()) : item->classes[0]);
    }
    return classes;
}

std::vector<uint8_t> Importer::make_splits() {
    if (!kept_.front()->split) {
        report_.notes.push_back(fmt::format("the source has no splits: split by group with seed {}", options_.seed));
        return assign_splits(strata(), leak_free_groups(), options_.shares, options_.seed);
    }
    std::vector<uint8_t> splits;
    for (const ImportItem* item : kept_) splits.push_back(static_cast<uint8_t>(*item->split));
    const auto has = [&](Split split) {
        return std::find(splits.begin(), splits.end(), static_cast<uint8_t>(split)) != splits.end();
    };
    if (has(Split::train) && !has(Split::val) && options_.val_share > 0) carve_val(splits);
    return splits;
}

void Importer::carve_val(std::vector<uint8_t>& splits) {
    const auto all_strata = strata();
    const auto all_groups = leak_free_groups();
    std::vector<int32_t> train_strata;
    std::vector<std::string> train_groups;
    for (size_t i = 0; i < splits.size(); ++i) {
        if (splits[i] != static_cast<uint8_t>(Split::train)) continue;
        train_strata.push_back(all_strata[i]);
        train_groups.push_back(all_groups[i]);
    }
    const auto parts =
        assign_splits(train_strata, train_groups, {1 - options_.val_share, options_.val_share, 0}, options_.seed);
    int64_t moved = 0;
    for (size_t i = 0, t = 0; i < splits.size(); ++i) {
        if (splits[i] != static_cast<uint8_t>(Split::train)) continue;
        splits[i] = parts[t++];
        moved += splits[i] == static_cast<uint8_t>(Split::val);
    }
    report_.notes.push_back(fmt::format("the source has no val split: {} training images became one (--val-share {})", moved,
                                        options_.val_share));
}

SetRecords Importer::make_records() {
    SetRecords records;
    records.info = info_;
    records.created_by = options_.created_by;
    records.splits = make_splits();
    const bool grouped =
        std::any_of(kept_.begin(), kept_.end(), [](const ImportItem* item) { return !item->group.empty(); });
    const size_t classes = info_.class_names.size();
    if (info_.multilabel) records.targets.assign(kept_.size() * classes, 0);
    for (size_t i = 0; i < kept_.size(); ++i) {
        records.ids.push_back(kept_[i]->path);
        if (grouped) records.groups.push_back(kept_[i]->group);
        if (!info_.multilabel)
            records.labels.push_back(kept_[i]->classes.front());
        else
            for (const int32_t k : kept_[i]->classes) records.targets[i * classes + static_cast<size_t>(k)] = 1;
    }
    return records;
}

void Importer::count_classes(const SetRecords& records) {
    report_.class_names = info_.class_names;
    report_.multilabel = info_.multilabel;
    report_.counts.resize(info_.class_names.size());
    for (size_t i = 0; i < kept_.size(); ++i) {
        ++report_.split_counts[records.splits[i]];
        for (const int32_t k : kept_[i]->classes) ++report_.counts[static_cast<size_t>(k)][records.splits[i]];
    }
}

void Importer::count_leaks(const SetRecords& records) {
    std::unordered_map<std::string, uint8_t> first_split;
    std::unordered_map<std::string, std::set<uint8_t>> group_splits;
    for (size_t i = 0; i < kept_.size(); ++i) {
        const auto [first, fresh] = first_split.emplace(digests_[i], records.splits[i]);
        report_.duplicates += !fresh;
        report_.duplicates_across_splits += !fresh && first->second != records.splits[i];
        if (!kept_[i]->group.empty()) group_splits[kept_[i]->group].insert(records.splits[i]);
    }
    for (const auto& [group, splits] : group_splits) report_.groups_across_splits += splits.size() > 1;
}

void Importer::write_quarantine() const {
    const std::string path = options_.out + ".quarantine.csv";
    std::error_code ignored;
    std::filesystem::remove(path, ignored);  // of an earlier import
    if (report_.quarantined.empty()) return;
    std::ofstream file(path);
    file << "path,reason\n";
    for (const auto& [name, reason] : report_.quarantined) file << csv_field(name) << ',' << csv_field(reason) << '\n';
    if (!file.flush()) throw Error("cannot be written", path);
}

ImportReport Importer::run() {
    check();
    list_ = list_images(options_);
    info_ = {source_.string(),  static_cast<int64_t>(list_.items.size()),
             options_.channels, options_.size,
             options_.size,     1,
             list_.class_names, list_.multilabel};
    report_.quarantined = list_.quarantined;
    // The depth is that of the deepest file; sets of 16 bits are known as such by their first files.
    if (!list_.items.empty() && !decode_all(1)) decode_all(2);
    std::sort(report_.quarantined.begin(), report_.quarantined.end(),
              [](const auto& a, const auto& b) { return a.path < b.path; });
    write_quarantine();
    if (kept_.empty()) {
        throw Error(fmt::format("none of {} files could be read", report_.quarantined.size()), options_.source,
                    "the reasons are in " + options_.out + ".quarantine.csv");
    }
    SetRecords records = make_records();
    writer_->finish(records);
    count_classes(records);
    count_leaks(records);
    report_.images = records.info.count;
    report_.unlisted = list_.unlisted;
    report_.bytes_per_pixel = info_.bytes_per_pixel;
    report_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    return std::move(report_);
}

}  // namespace

ImportReport import_images(const ImportOptions& options, const ImportObserver& observer) {
    return Importer(options, observer).run();
}

}  // namespace xbench
