// What kernels compute, held against something else: against a peer's results before both are timed; and all rows of the
// suite where nothing may be timed, on the emulated GPU, against the reference. There operands lie in allocations of their
// own, whose bounds that GPU checks.
#pragma once

#include <functional>

#include "bench/kernels/kernel_case.h"
#include "bench/kernels/kernel_peer.h"
#include "bench/kernels/kernel_suite.h"

namespace xbench {

KernelMeasurement without_figures(const KernelSuiteEntry& entry);

// Layers for timing only are left uncompared: their reference takes seconds.
KernelReport compare_kernels(const KernelSuiteOptions& options, const KernelSelection& selection, Device& device,
                             const std::function<void(const KernelMeasurement&)>& progress = {});

// Up to rounding, or the times compare different things. Throws Error.
void require_same_result(KernelCase& ours, KernelPeer& peer);

}  // namespace xbench
