// Boxes from COCO's JSON: images, annotations, categories. Category ids are any numbers: sorted, they become 0, 1, ...; an
// image has each class of which it has a box, and images without any are negatives. Boxes are cut at the image's border;
// those without an area, and crowds, are left out and counted.
#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <unordered_map>

#include <fmt/core.h>

#include "core/error.h"
#include "core/json.h"
#include "core/utf8.h"
#include "data/import/csv_paths.h"
#include "data/import/import_list.h"

namespace xbench {
namespace {

// A member of a JSON object that must be there. Throws UsageError naming the place.
const Json& member(const Json& object, const char* name, const std::string& place) {
    if (!object.is_object() || !object.contains(name)) throw UsageError(fmt::format("has no '{}'", name), place);
    return object[name];
}
int64_t whole_number(const Json& object, const char* name, const std::string& place) {
    const Json& value = member(object, name, place);
    if (!value.is_number_integer()) throw UsageError(fmt::format("'{}' is no whole number", name), place);
    return value.get<int64_t>();
}
const Json& list_in(const Json& object, const char* name, const std::string& place) {
    const Json& value = member(object, name, place);
    if (!value.is_array()) throw UsageError(fmt::format("'{}' is no list", name), place);
    return value;
}

class CocoLister {
public:
    CocoLister(const ImportOptions& options, const Json& json, const FolderWalk& walk)
        : path_(options.labels), json_(json), walk_(walk), files_(walk.files, options.source), list_(start_list(walk)) {}

    ImportList list() {
        list_.multilabel = list_.has_boxes = true;
        read_categories();
        read_images();
        read_annotations();
        for (auto& [id, item] : items_) {
            std::set<int32_t> classes;
            for (const Box& box : item.boxes) classes.insert(static_cast<int32_t>(box[0]));
            item.classes.assign(classes.begin(), classes.end());
            list_.items.push_back(std::move(item));
        }
        for (const std::string& file : walk_.files) {
            if (!listed_.contains(file)) list_.ignored.push_back({file, rule_unlisted});
        }
        note(crowds_, "crowd annotations are left out");
        note(empty_, "boxes without an area are left out");
        note(cut_, "boxes are cut at the image's border");
        note(repeated_, "annotations repeat an id");
        note(stray_, "annotations of images that are not there are left out");
        return std::move(list_);
    }

private:
    std::string place(const char* part, size_t i) const { return fmt::format("{}:/{}/{}", path_, part, i); }
    void note(int64_t count, const char* what) {
        if (count > 0) list_.notes.push_back(fmt::format("{} {}", count, what));
    }

    void read_categories() {
        std::map<int64_t, std::string> names;
        const Json& categories = list_in(json_, "categories", path_);
        for (size_t i = 0; i < categories.size(); ++i) {
            const Json& name = member(categories[i], "name", place("categories", i));
            if (!name.is_string()) throw UsageError("'name' is no text", place("categories", i));
            const int64_t id = whole_number(categories[i], "id", place("categories", i));
            if (!names.emplace(id, name.get<std::string>()).second)
                throw UsageError(fmt::format("category {} is there twice", id), place("categories", i));
        }
        for (const auto& [id, name] : names) {
            class_of_[id] = static_cast<int32_t>(list_.class_names.size());
            list_.class_names.push_back(name);
        }
        if (names.empty()) throw UsageError("has no categories", path_);
    }

    void read_images() {
        const Json& images = list_in(json_, "images", path_);
        for (size_t i = 0; i < images.size(); ++i) {
            const std::string where = place("images", i);
            const Json& name = member(images[i], "file_name", where);
            if (!name.is_string()) throw UsageError("'file_name' is no text", where);
            ImportItem item;
            item.path = files_.find(name.get<std::string>(), where);
            if (item.path.empty()) {
                list_.quarantined.push_back({name.get<std::string>(), where + ": no such file below the source", false});
                continue;
            }
            if (!listed_.insert(item.path).second)
                throw UsageError(fmt::format("'{}' is there twice", escape_bytes(item.path)), where);
            item.declared = {whole_number(images[i], "width", where), whole_number(images[i], "height", where)};
            if (item.declared[0] < 1 || item.declared[1] < 1) throw UsageError("an image without an area", where);
            const int64_t id = whole_number(images[i], "id", where);
            if (!items_.emplace(id, std::move(item)).second)
                throw UsageError(fmt::format("image {} is there twice", id), where);
        }
    }

    void read_annotations() {
        std::set<int64_t> ids;
        const Json& annotations = list_in(json_, "annotations", path_);
        for (size_t i = 0; i < annotations.size(); ++i) {
            const Json& annotation = annotations[i];
            const std::string where = place("annotations", i);
            const auto image = items_.find(whole_number(annotation, "image_id", where));
            if (annotation.contains("id") && annotation["id"].is_number_integer())
                repeated_ += !ids.insert(annotation["id"].get<int64_t>()).second;
            if (image == items_.end()) {
                ++stray_;
                continue;
            }
            if (annotation.value("iscrowd", Json(0)) == Json(1)) {
                ++crowds_;
                continue;
            }
            const auto known = class_of_.find(whole_number(annotation, "category_id", where));
            if (known == class_of_.end()) throw UsageError("a category that is not in the list", where);
            add_box(image->second, known->second, list_in(annotation, "bbox", where), where);
        }
    }

    void add_box(ImportItem& item, int32_t k, const Json& sides, const std::string& where) {
        const bool numbers =
            sides.size() == 4 && std::all_of(sides.begin(), sides.end(), [](const Json& side) { return side.is_number(); });
        if (!numbers) throw UsageError("'bbox' is not four numbers", where);
        const double x = sides[0].get<double>(), y = sides[1].get<double>(), w = sides[2].get<double>(),
                     h = sides[3].get<double>();
        const double left = std::clamp<double>(x, 0, static_cast<double>(item.declared[0])),
                     right = std::clamp<double>(x + w, 0, static_cast<double>(item.declared[0])),
                     top = std::clamp<double>(y, 0, static_cast<double>(item.declared[1])),
                     bottom = std::clamp<double>(y + h, 0, static_cast<double>(item.declared[1]));
        if (!(right > left) || !(bottom > top) || !(w > 0) || !(h > 0)) {
            ++empty_;
            return;
        }
        cut_ += left != x || top != y || right < x + w - 1e-3 || bottom < y + h - 1e-3;
        item.boxes.push_back({static_cast<float>(k), static_cast<float>(left), static_cast<float>(top),
                              static_cast<float>(right - left), static_cast<float>(bottom - top)});
    }

    const std::string path_;
    const Json& json_;
    const FolderWalk& walk_;
    const PathIndex files_;
    ImportList list_;
    std::map<int64_t, int32_t> class_of_;
    std::map<int64_t, ImportItem> items_;  // by the image's id
    std::set<std::string> listed_;
    int64_t crowds_ = 0, empty_ = 0, cut_ = 0, repeated_ = 0, stray_ = 0;
};

}  // namespace

bool is_coco(const ImportOptions& options) {
    std::ifstream file(options.labels, std::ios::binary);
    char first = 0;
    return !options.labels.empty() && file >> std::ws >> first && first == '{';
}

ImportList list_coco(const ImportOptions& options) {
    std::ifstream file(options.labels, std::ios::binary);
    if (!file) throw UsageError("cannot be opened", escape_bytes(options.labels), "check the path of --labels");
    const std::string text(std::istreambuf_iterator<char>(file), {});
    JsonMistake mistake;
    const auto json = parse_json(text, &mistake);
    if (!json)
        throw UsageError(fmt::format("is no JSON, or is cut off, at byte {}: {}", mistake.offset, mistake.what),
                         escape_bytes(options.labels));
    const FolderWalk walk = walk_folder(options.source);
    return CocoLister(options, *json, walk).list();
}

}  // namespace xbench
