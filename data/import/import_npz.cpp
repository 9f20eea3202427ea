// Sets in one npz file: MedMNIST's {train,val,test}_images and _labels, Keras' x_train and y_train, or images and labels.
// Images {N,H,W}, {N,H,W,C} or {N,C,H,W} of uint8 or uint16; labels {N} or {N,1} are classes, {N,K} say of each class yes or
// no.
#include <algorithm>
#include <bit>
#include <cmath>
#include <filesystem>

#include <fmt/core.h>

#include "core/error.h"
#include "core/files.h"
#include "core/utf8.h"
#include "data/import/import_list.h"
#include "data/import/npz.h"
#include "data/import/records.h"

namespace xbench {
namespace {

namespace fs = std::filesystem;

constexpr int64_t most_classes = 65536;

struct Part {
    std::string images, labels;
    std::optional<Split> split;
    int64_t first = 0, count = 0;  // of the list's items
    int64_t height = 0, width = 0;
    int channels = 1;
    bool planes = false;
};

// The published names of MedMNIST's classes, by the start of the file's name.
struct MedMnist {
    const char *name, *classes;
};
constexpr MedMnist med_mnist[] = {
    {"pathmnist",
     "adipose|background|debris|lymphocytes|mucus|smooth muscle|normal colon mucosa|cancer-associated stroma|colorectal "
     "adenocarcinoma epithelium"},
    {"chestmnist",
     "atelectasis|cardiomegaly|effusion|infiltration|mass|nodule|pneumonia|pneumothorax|consolidation|edema|emphysema|"
     "fibrosis|"
     "pleural|hernia"},
    {"pneumoniamnist", "normal|pneumonia"},
    {"breastmnist", "malignant|normal, benign"},
    {"bloodmnist", "basophil|eosinophil|erythroblast|immature granulocytes|lymphocyte|monocyte|neutrophil|platelet"},
    {"octmnist", "choroidal neovascularization|diabetic macular edema|drusen|normal"}};

std::vector<Part> parts_of(const NpzFile& file) {
    std::vector<Part> parts;
    for (const Split split : {Split::train, Split::val, Split::test}) {
        const std::string name = name_of(split);
        for (const auto& [images, labels] :
             {std::pair{name + "_images", name + "_labels"}, {"x_" + name, "y_" + name}, {"X_" + name, "y_" + name}}) {
            if (file.has(images) && file.has(labels)) parts.push_back({images, labels, split});
        }
    }
    for (const auto& [images, labels] : {std::pair{"images", "labels"}, {"x", "y"}, {"X", "y"}}) {
        if (parts.empty() && file.has(images) && file.has(labels)) parts.push_back({images, labels, std::nullopt});
    }
    return parts;
}

void read_layout(const NpyHead& head, Part& part, const std::string& place) {
    const auto& shape = head.shape;
    if (head.fortran) throw Error("is stored in Fortran's order", place, "numpy.ascontiguousarray puts it right");
    const bool whole = (head.kind == 'u' && head.bytes <= 2) || head.kind == 'b';
    if (!whole) throw Error("holds no uint8 or uint16 pixels", place, "store (images * 255).round().astype('uint8')");
    if (shape.size() == 3) {
        part.height = shape[1], part.width = shape[2];
    } else if (shape.size() == 4 && (shape[3] == 1 || shape[3] == 3)) {
        part.height = shape[1], part.width = shape[2], part.channels = static_cast<int>(shape[3]);
    } else if (shape.size() == 4 && (shape[1] == 1 || shape[1] == 3)) {
        part.height = shape[2], part.width = shape[3], part.channels = static_cast<int>(shape[1]), part.planes = true;
    } else {
        throw Error("is neither {N,H,W}, {N,H,W,C} nor {N,C,H,W} with 1 or 3 channels", place);
    }
    part.count = shape[0];
    check_image_size(part.width, part.height, static_cast<size_t>(max_image_pixels), 1);
}

// Reads the records of all parts one after the other.
class NpzReader : public RecordReader {
public:
    NpzReader(std::unique_ptr<NpzFile> file, std::vector<Part> parts) : file_(std::move(file)), parts_(std::move(parts)) {}
    void rewind() override { next_ = 0; }

    Image read(const ImportItem& item, int channels) override {
        const auto part = std::find_if(parts_.begin(), parts_.end(), [&](const Part& p) {
            return item.frame >= p.first && item.frame < p.first + p.count;
        });
        const NpyHead& head = file_->head(part->images);
        bytes_.resize(static_cast<size_t>(part->height * part->width * part->channels * head.bytes));
        if (item.frame == part->first) {
            file_->start(part->images);
            next_ = part->first;
        }
        for (; next_ <= item.frame; ++next_) file_->read(bytes_);
        to_native(head);
        return image_of_samples(bytes_, part->height, part->width, part->channels, head.bytes, part->planes, channels);
    }

private:
    void to_native(const NpyHead& head) {
        if (head.kind == 'b') {
            for (uint8_t& byte : bytes_) byte = byte != 0 ? 255 : 0;
        }
        if (head.bytes == 2 && head.big_endian) {
            for (size_t i = 0; i + 1 < bytes_.size(); i += 2) std::swap(bytes_[i], bytes_[i + 1]);
        }
    }
    std::unique_ptr<NpzFile> file_;
    const std::vector<Part> parts_;
    int64_t next_ = 0;
    std::vector<uint8_t> bytes_;
};

class NpzLister {
public:
    NpzLister(const ImportOptions& options, std::string name)
        : options_(options), name_(std::move(name)), path_((fs::path(options.source) / name_).string()) {}

    ImportList list() {
        auto file = std::make_unique<NpzFile>(path_);
        auto parts = parts_of(*file);
        if (parts.empty())
            throw UsageError(
                "has no pair of arrays as train_images and train_labels, x_train and y_train, images and labels",
                escape_bytes(path_));
        int64_t first = 0;
        for (Part& part : parts) {
            part.first = first;
            read_layout(file->head(part.images), part, place(part.images));
            read_labels(*file, part);
            first += part.count;
        }
        name_classes();
        list_.files = 1;
        list_.records = std::make_shared<NpzReader>(std::move(file), std::move(parts));
        return std::move(list_);
    }

private:
    std::string place(const std::string& array) const { return fmt::format("{}[{}]", escape_bytes(path_), array); }

    void read_labels(NpzFile& file, const Part& part) {
        const NpyHead& head = file.head(part.labels);
        const auto data = file.read_all(part.labels);
        const bool right = (head.shape.size() == 1 || head.shape.size() == 2) && head.shape[0] == part.count;
        const int64_t width = head.shape.size() == 2 ? head.shape[1] : 1;
        if (!right || width < 1 || width > most_classes)
            throw Error(fmt::format("labels do not fit {} images", part.count), place(part.labels));
        if (columns_ != 0 && columns_ != width) throw Error("has another number of classes than train", place(part.labels));
        columns_ = width;
        for (int64_t i = 0; i < part.count; ++i) {
            ImportItem item{name_, part.first + i, {}, part.split, {}, {}};
            for (int64_t k = 0; k < width; ++k) {
                const double value = npy_number(head, data.data(), at(head, i, k, width));
                take(item, value, width > 1 ? k : -1, place(part.labels));
            }
            list_.items.push_back(std::move(item));
        }
    }
    static size_t at(const NpyHead& head, int64_t i, int64_t k, int64_t width) {
        return static_cast<size_t>(head.fortran ? k * head.shape[0] + i : i * width + k);
    }
    void take(ImportItem& item, double value, int64_t column, const std::string& where) {
        const double most = column >= 0 ? 1 : static_cast<double>(most_classes) - 1;
        if (!(value >= 0 && value <= most) || value != std::floor(value))
            throw Error(fmt::format("a label of {}", value), where, "labels are whole numbers from 0");
        const auto label = static_cast<int32_t>(value);
        if (column < 0) item.classes = {label};
        if (column >= 0 && label == 1) item.classes.push_back(static_cast<int32_t>(column));
        largest_ = std::max(largest_, column >= 0 ? static_cast<int32_t>(column) : label);
    }
    void name_classes() {
        list_.multilabel = columns_ > 1;
        list_.class_names = options_.class_names;
        for (const MedMnist& row : med_mnist) {
            if (list_.class_names.empty() && lower_case(name_).starts_with(row.name))
                list_.class_names = split_text(row.classes, '|');
        }
        const auto classes = static_cast<size_t>(largest_) + 1;
        if (list_.class_names.empty()) {
            for (size_t k = 0; k < classes; ++k) list_.class_names.push_back(fmt::format("{}", k));
        }
        if (list_.class_names.size() < classes || (list_.multilabel && list_.class_names.size() != classes))
            throw UsageError(fmt::format("{} classes have {} names", classes, list_.class_names.size()), "--class-names",
                             "name each, as a,b,c");
    }

    const ImportOptions& options_;
    const std::string name_, path_;
    ImportList list_;
    int64_t columns_ = 0;
    int32_t largest_ = 0;
};

// The file itself, or the only npz of a folder that holds no other file.
std::string npz_in(const ImportOptions& options) {
    std::error_code failure;
    if (!options.labels.empty()) return {};
    if (fs::is_regular_file(options.source, failure)) return is_zip(options.source) ? options.source : "";
    if (!fs::is_directory(options.source, failure)) return {};
    const auto entries = list_folder(fs::path(options.source));
    const bool one_file = entries.size() == 1 && fs::is_regular_file(entries[0], failure);
    return one_file && is_zip(entries[0].string()) ? entries[0].string() : "";
}

}  // namespace

bool is_npz(const ImportOptions& options) { return !npz_in(options).empty(); }

ImportList list_npz(const ImportOptions& options) {
    const fs::path found = npz_in(options);
    if (found.empty()) throw UsageError("is no npz file", escape_bytes(options.source), "name the file");
    ImportOptions inside = options;
    inside.source = found.has_parent_path() ? found.parent_path().string() : ".";
    return NpzLister(inside, found.filename().string()).list();
}

}  // namespace xbench
