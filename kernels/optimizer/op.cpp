// adam and sgd: work only; a strategy runs them over the flat parameters, they are in no graph.
#include "kernels/infer.h"
#include "kernels/operators.h"

namespace xbench {
namespace {

Work adam_work(const Problem& p) { return elementwise_work(p, 14); }
Work sgd_work(const Problem& p) { return elementwise_work(p, 6); }
Work two_a_element(const Problem& p) { return elementwise_work(p, 2); }

}  // namespace

std::vector<OpDef> optimizer_ops() {
    return {
        {OpKind::adam, "g -> p= m= v=", nullptr, nullptr, adam_work, reference_adam, false, nullptr, nullptr, nullptr,
         nullptr},
        {OpKind::sgd, "g -> p= m=", nullptr, nullptr, sgd_work, reference_sgd, false, nullptr, nullptr, nullptr, nullptr},
        {OpKind::square_sums, "g -> sums", nullptr, nullptr, two_a_element, reference_square_sums, false, nullptr, nullptr,
         nullptr, nullptr},
        {OpKind::average_weights, "p -> a=", nullptr, nullptr, two_a_element, reference_average_weights, false, nullptr,
         nullptr, nullptr, nullptr},
    };
}

}  // namespace xbench
