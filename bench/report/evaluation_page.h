// report.html of one evaluation: what its model card says of the results, from the files of the folder alone, and where the
// card lies.
#pragma once

#include <string>

#include "bench/report/evaluation_files.h"

namespace xbench {

class HtmlPage;

std::string evaluation_page(const EvaluationFiles& files);
void add_evaluation(HtmlPage& page, const EvaluationFiles& files);
// "pneumonia_cnn on the test split: accuracy 0.931 (0.902 to 0.955) on 624 images, always saying pneumonia 0.625."
std::string evaluation_verdict(const EvaluationFiles& files);

}  // namespace xbench
