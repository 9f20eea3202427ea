// adam and sgd: work only; a strategy runs them over the flat parameters, they are in no graph.
#include "kernels/infer.h"
#include "kernels/ops_table.h"

namespace xbench {
namespace {

Work adam_work(const Problem& p) { return elementwise_work(p, 14); }
Work sgd_work(const Problem& p) { return elementwise_work(p, 6); }

}  // namespace

std::vector<OpDef> optimizer_ops() {
    return {{OpKind::adam, nullptr, nullptr, adam_work}, {OpKind::sgd, nullptr, nullptr, sgd_work}};
}

}  // namespace xbench
