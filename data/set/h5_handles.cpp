// The mutex and the reasons of failures of HDF5.
#include "data/set/h5_handles.h"

#include <cstdlib>
#include <cstring>

namespace xbench::h5 {

std::unique_lock<std::recursive_mutex> lock_library() {
    static std::recursive_mutex mutex;
    std::unique_lock lock(mutex);
    // At exit the library closes what is open, and crashes on a file that a full disk has cut off. Ours are closed by then.
    static const bool no_exit_handler = H5dont_atexit() >= 0;
    static_cast<void>(no_exit_handler);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    return lock;
}

std::string system_reason() {
    int number = 0;
    H5Ewalk2(
        H5E_DEFAULT, H5E_WALK_UPWARD,
        [](unsigned, const H5E_error2_t* entry, void* found) -> herr_t {
            const char* const mark = "errno = ";
            const char* at = entry->desc == nullptr ? nullptr : std::strstr(entry->desc, mark);
            if (at != nullptr) *static_cast<int*>(found) = std::atoi(at + std::strlen(mark));
            return at != nullptr ? 1 : 0;
        },
        &number);
    return number == 0 ? "" : std::strerror(number);
}

Handle string_type(size_t bytes) {
    Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
    H5Tset_size(type.get(), bytes == 0 ? 1 : bytes);
    H5Tset_cset(type.get(), H5T_CSET_UTF8);
    H5Tset_strpad(type.get(), H5T_STR_NULLPAD);
    return type;
}

}  // namespace xbench::h5
