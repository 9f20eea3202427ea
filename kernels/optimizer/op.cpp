// adam, sgd and what dynamic loss scaling adds to them: work only; a strategy runs them over the flat parameters, they are
// in no graph.
#include "kernels/infer.h"
#include "kernels/operators.h"

namespace xbench {
namespace {

Work adam_work(const Problem& p) { return elementwise_work(p, 14); }
Work sgd_work(const Problem& p) { return elementwise_work(p, 6); }
Work two_a_element(const Problem& p) { return elementwise_work(p, 2); }
Work one_a_element(const Problem& p) { return elementwise_work(p, 1); }

}  // namespace

std::vector<OpDef> optimizer_ops() {
    return {
        {OpKind::adam, "g [scaling] -> p= m= v=", nullptr, nullptr, adam_work, reference_adam, false, nullptr, nullptr,
         nullptr, nullptr},
        {OpKind::sgd, "g [scaling] -> p= m=", nullptr, nullptr, sgd_work, reference_sgd, false, nullptr, nullptr, nullptr,
         nullptr},
        {OpKind::square_sums, "g -> sums", nullptr, nullptr, two_a_element, reference_square_sums, false, nullptr, nullptr,
         nullptr, nullptr},
        {OpKind::average_weights, "p [scaling] -> a=", nullptr, nullptr, two_a_element, reference_average_weights, false,
         nullptr, nullptr, nullptr, nullptr},
        {OpKind::find_overflow, "g scaling -> scaling", nullptr, nullptr, one_a_element, reference_find_overflow, false,
         nullptr, nullptr, nullptr, nullptr},
        {OpKind::update_loss_scale, "scaling -> scaling", nullptr, nullptr, one_a_element, reference_update_loss_scale,
         false, nullptr, nullptr, nullptr, nullptr},
    };
}

}  // namespace xbench
