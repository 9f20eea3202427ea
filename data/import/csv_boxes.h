// Tables with a row a box, as readers mark them: several rows an image, each with a label, four sides and the name of its
// reader; a row without sides says that the reader saw nothing. Which classes an image has follows from what its readers
// say: of any of them (union), or of more than half (majority).
#pragma once

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "data/import/csv_labels.h"
#include "data/import/import_list.h"

namespace xbench {

class BoxColumns {
public:
    // Of --columns box=X+Y+WIDTH+HEIGHT or corners=LEFT+TOP+RIGHT+BOTTOM, and reader=NAME. Throws UsageError.
    BoxColumns(const CsvTable& table, const ImportOptions& options);
    bool given() const { return given_; }

    // Takes one more row of image `item`.
    void add(size_t item, const std::vector<std::string>& row, const RowLabels& labels, const std::string& place);
    // The classes that the image has, when all rows are there.
    std::vector<std::string> classes_of(size_t item) const;
    // Gives the items their boxes, of the classes that they have.
    void give_boxes(ImportList& list) const;
    int64_t left_out() const { return left_out_; }  // boxes without an area

private:
    struct Marked {
        std::string label;
        std::array<float, 4> sides{};  // left, top, width, height
    };
    struct Image {
        std::vector<Marked> boxes;
        std::map<std::string, std::set<std::string>> readers_of;  // of each label
        std::set<std::string> readers;
    };
    std::optional<std::array<float, 4>> read(const std::vector<std::string>& row, const std::string& place);

    bool given_ = false, corners_ = false, majority_ = false;
    std::array<size_t, 4> sides_{};
    size_t reader_ = no_column;
    std::vector<Image> images_;
    int64_t left_out_ = 0;
};

}  // namespace xbench
