// CIFAR's binary batches: records of a label (CIFAR-100: coarse and fine) and 32x32 pixels, planes R, G, B. Which of the two
// a file is follows from its size and the range of its labels. Files named test* are the test split; short files are read as
// far as their records are whole.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <fmt/core.h>

#include "core/error.h"
#include "core/utf8.h"
#include "data/import/csv.h"
#include "data/import/file_decoder.h"
#include "data/import/import_list.h"
#include "data/import/records.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

constexpr int64_t side = 32, pixel_bytes = side * side * 3, short_record = pixel_bytes + 1, long_record = pixel_bytes + 2;
const std::vector<std::string> ten_names{"airplane", "automobile", "bird",  "cat",  "deer",
                                         "dog",      "frog",       "horse", "ship", "truck"};

class File {
public:
    explicit File(const std::string& path) : path_(path) {
        std::string failure;
        number_ = open_image_file(path, failure);
        struct stat status {};
        if (number_ < 0 || ::fstat(number_, &status) != 0) throw Error(failure.empty() ? "cannot be read" : failure, path);
        size_ = S_ISREG(status.st_mode) ? status.st_size : 0;
    }
    ~File() {
        if (number_ >= 0) ::close(number_);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    int64_t size() const { return size_; }
    void read(int64_t place, void* data, int64_t bytes) const {
        auto* at = static_cast<char*>(data);
        while (bytes > 0) {
            const ssize_t got = ::pread(number_, at, static_cast<size_t>(bytes), place);
            if (got < 0 && errno == EINTR) continue;
            if (got <= 0) throw Error(got < 0 ? std::strerror(errno) : "became shorter while it was read", path_);
            at += got, place += got, bytes -= got;
        }
    }

private:
    const std::string path_;
    int number_ = -1;
    int64_t size_ = 0;
};

// The labels at the head of each record; empty where one is out of range.
std::vector<int32_t> labels_of(const File& file, int64_t record) {
    std::vector<int32_t> labels;
    for (int64_t at = 0; at + record <= file.size(); at += record) {
        uint8_t head[2] = {};
        file.read(at, head, record - pixel_bytes);
        const bool fits = record == short_record ? head[0] <= 9 : head[0] <= 19 && head[1] <= 99;
        if (!fits) return {};
        labels.push_back(record == short_record ? head[0] : head[1]);
    }
    return labels;
}

struct Batches {
    int64_t record = 0;  // bytes; 0: neither kind
    std::vector<int32_t> labels;
};

Batches batches_in(const std::string& path) {
    const File file(path);
    Batches ten{short_record, labels_of(file, short_record)}, hundred{long_record, labels_of(file, long_record)};
    if (!ten.labels.empty() && !hundred.labels.empty()) {
        const bool whole_ten = file.size() % short_record == 0, whole_hundred = file.size() % long_record == 0;
        if (whole_ten == whole_hundred)
            throw UsageError("may be CIFAR-10 or CIFAR-100: its labels fit both", escape_bytes(path), "take more records");
        return whole_ten ? ten : hundred;
    }
    if (!ten.labels.empty()) return ten;
    return hundred.labels.empty() ? Batches{} : hundred;
}

bool is_batch_name(const std::string& path) { return path.ends_with(".bin"); }

std::vector<std::string> names_for(const FolderWalk& walk, const ImportOptions& options, int64_t record) {
    if (!options.class_names.empty()) return options.class_names;
    for (const std::string& file : walk.files) {
        const std::string name = fs::path(file).filename().string();
        if (name != (record == short_record ? "batches.meta.txt" : "fine_label_names.txt")) continue;
        std::vector<std::string> names;
        std::ifstream lines(fs::path(options.source) / file);
        for (std::string line; std::getline(lines, line);) {
            if (!trimmed(line).empty()) names.push_back(trimmed(line));
        }
        if (names.size() == (record == short_record ? 10 : 100)) return names;
    }
    if (record == short_record) return ten_names;
    std::vector<std::string> numbers;
    for (int k = 0; k < 100; ++k) numbers.push_back(fmt::format("{}", k));
    return numbers;
}

class CifarReader : public RecordReader {
public:
    CifarReader(std::string source, int64_t record) : source_(std::move(source)), record_(record) {}
    void rewind() override {}
    Image read(const ImportItem& item, int channels) override {
        if (file_ == nullptr || item.path != path_) {
            file_ = std::make_unique<File>((fs::path(source_) / item.path).string());
            path_ = item.path;
        }
        bytes_.resize(pixel_bytes);
        file_->read(item.frame * record_ + record_ - pixel_bytes, bytes_.data(), pixel_bytes);
        return image_of_samples(bytes_, side, side, 3, 1, true, channels);
    }

private:
    const std::string source_;
    const int64_t record_;
    std::unique_ptr<File> file_;
    std::string path_;
    std::vector<uint8_t> bytes_;
};

}  // namespace

bool is_cifar(const ImportOptions& options) {
    std::error_code failure;
    if (!options.labels.empty() || !fs::is_directory(options.source, failure)) return false;
    for (fs::recursive_directory_iterator entry(options.source, failure), end; !failure && entry != end;
         entry.increment(failure)) {
        if (entry.depth() > 2) entry.disable_recursion_pending();
        if (!is_batch_name(entry->path().filename().string()) || !entry->is_regular_file(failure)) continue;
        try {
            return batches_in(entry->path().string()).record > 0;
        } catch (const Error&) {
            return false;
        }
    }
    return false;
}

ImportList list_cifar(const ImportOptions& options) {
    const FolderWalk walk = walk_folder(options.source);
    ImportList list = start_list(walk);
    int64_t record = 0;
    for (const std::string& path : walk.files) {
        if (!is_batch_name(path)) {
            list.ignored.push_back({path, "not a batch of CIFAR"});
            continue;
        }
        const std::string full = (fs::path(options.source) / path).string();
        const Batches batches = batches_in(full);
        if (batches.record == 0) {
            list.quarantined.push_back({path, "labels out of range: no batch of CIFAR-10 or CIFAR-100"});
            continue;
        }
        if (record != 0 && record != batches.record)
            throw UsageError("holds batches of CIFAR-10 and of CIFAR-100", escape_bytes(options.source), "keep one of them");
        record = batches.record;
        const bool test = lower_case(fs::path(path).filename().string()).starts_with("test");
        for (size_t i = 0; i < batches.labels.size(); ++i) {
            list.items.push_back(
                {path, static_cast<int64_t>(i), {batches.labels[i]}, test ? Split::test : Split::train, {}, {}});
        }
        if (const int64_t rest = File(full).size() % record; rest != 0)
            list.warnings.push_back(fmt::format("{} ends with {} bytes of a cut-off record", escape_bytes(path), rest));
    }
    if (record == 0) throw UsageError("holds no batch of CIFAR", escape_bytes(options.source), "name the folder of *.bin");
    list.class_names = names_for(walk, options, record);
    list.records = std::make_shared<CifarReader>(options.source, record);
    return list;
}

}  // namespace xbench
