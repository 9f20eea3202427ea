// The operators of each folder; op.cpp of this folder puts them into one table.
#pragma once

#include <vector>

#include "kernels/op.h"

namespace xbench {

std::vector<OpDef> conv2d_ops();
std::vector<OpDef> batchnorm_ops();
std::vector<OpDef> elementwise_ops();
std::vector<OpDef> pool2d_ops();
std::vector<OpDef> linear_ops();
std::vector<OpDef> dropout_ops();
std::vector<OpDef> loss_ops();
std::vector<OpDef> optimizer_ops();

}  // namespace xbench
