// What every rank has, on every rank and in rank order: numbers, plain structs and texts, over
// ControlPlane::all_gather_bytes. Collective. Numbers travel as they lie in memory: the ranks of a job are of one kind of
// machine.
#pragma once

#include <cstddef>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "core/control_plane.h"

namespace xbench {

template <class T>
std::vector<std::byte> bytes_of(const std::vector<T>& values) {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto* const first = reinterpret_cast<const std::byte*>(values.data());
    return {first, first + values.size() * sizeof(T)};
}

template <class T>
std::vector<T> values_of(const std::vector<std::byte>& bytes) {
    static_assert(std::is_trivially_copyable_v<T>);
    std::vector<T> values(bytes.size() / sizeof(T));
    // memcpy takes no null pointer, and an empty list may have one.
    if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
    return values;
}

// One list behind the other; they may be of different lengths.
template <class T>
std::vector<T> gather_values(ControlPlane& ranks, const std::vector<T>& mine) {
    return values_of<T>(ranks.all_gather_bytes(bytes_of(mine)));
}

std::string gather_text(ControlPlane& ranks, const std::string& mine);                // one behind the other
std::vector<std::string> gather_texts(ControlPlane& ranks, const std::string& mine);  // one of each rank; none holds a 0
std::string from_rank_0(ControlPlane& ranks, const std::string& mine);                // the others' does not matter

}  // namespace xbench
