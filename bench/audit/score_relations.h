// The arithmetic of a classification report as relations: F1, averages, counts that must be whole, confusion counts.
#pragma once

#include <vector>

#include "bench/audit/audit.h"

namespace xbench::audit {

// Rows of a classification report by what they are.
enum class ReportRow { of_class, accuracy, micro, macro, weighted };
ReportRow report_row(const Row& row);
std::vector<const Row*> class_rows(const Group& group);  // rows with scores or a support that are no averages
const Row* average_row(const Group& group, ReportRow kind);

// The one accuracy of a report: of its row "accuracy" (there it may stand in the F1 column), or of any row's column.
struct Accuracy {
    int cell = -1;
    int n_test_cell = -1;  // the number of test images, where it is printed
};
Accuracy report_accuracy(const Table& table, const Group& group);

// Whether every image has one class, so that supports add up to the images and the micro-averaged F1 is the accuracy.
bool has_one_label(const Table& table, const Group& group);

// Whether all classes are there: a report with a row of averages or of accuracy lists them all, others where their supports
// add up to the test images.
bool has_all_classes(const Table& table, const Group& group);

std::vector<Relation> score_relations(const Table& table, const Group& group);

// Check 17, of one label an image: whether whole numbers of true and of predicted images exist for every class that fit what
// is printed, add up to all images, and give the accuracy. A relation over all of these cells.
std::vector<Relation> joint_counts(const Table& table, const Group& group);

}  // namespace xbench::audit
