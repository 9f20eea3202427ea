// Names of operators and roles, and access to an operator's attributes as plain data.
#include "core/graph.h"

namespace xbench {

const void* plain(const Attrs& attrs) {
    return std::visit(
        [](const auto& value) -> const void* {
            if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::monostate>)
                return nullptr;
            else
                return &value;
        },
        attrs);
}

const char* name_of(OpKind op) {
    static constexpr std::array names{"conv2d",
                                      "batchnorm",
                                      "relu",
                                      "max_pool2d",
                                      "avg_pool2d",
                                      "global_avg_pool",
                                      "flatten",
                                      "linear",
                                      "dropout",
                                      "add",
                                      "softmax_cross_entropy",
                                      "bce_with_logits",
                                      "conv2d_dgrad",
                                      "conv2d_wgrad",
                                      "batchnorm_statistics",
                                      "batchnorm_finalize",
                                      "batchnorm_inference",
                                      "batchnorm_apply",
                                      "batchnorm_grad_statistics",
                                      "batchnorm_grad_parameters",
                                      "batchnorm_grad_input",
                                      "batchnorm_pool_apply",
                                      "batchnorm_pool_grad_statistics",
                                      "batchnorm_pool_grad_input",
                                      "conv2d_statistics",
                                      "conv2d_pool",
                                      "conv2d_pool_wgrad",
                                      "conv2d_batchnorm_pool_wgrad",
                                      "relu_grad",
                                      "max_pool2d_grad",
                                      "avg_pool2d_grad",
                                      "global_avg_pool_grad",
                                      "linear_dgrad",
                                      "linear_wgrad",
                                      "dropout_grad",
                                      "softmax_cross_entropy_grad",
                                      "bce_with_logits_grad",
                                      "accumulate",
                                      "reorder",
                                      "all_reduce",
                                      "adam",
                                      "sgd"};
    static_assert(names.size() == static_cast<size_t>(OpKind::count_));
    return names[static_cast<size_t>(op)];
}

const char* name_of(Role role) {
    static constexpr std::array names{"input",      "label",    "parameter",          "buffer",   "constant",
                                      "activation", "gradient", "parameter_gradient", "statistic"};
    return names[static_cast<size_t>(role)];
}

}  // namespace xbench
