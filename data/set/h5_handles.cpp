// The mutex and the error text of HDF5.
#include "data/set/h5_handles.h"

namespace xbench::h5 {

std::unique_lock<std::recursive_mutex> lock_library() {
    static std::recursive_mutex mutex;
    std::unique_lock lock(mutex);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    return lock;
}

std::string last_error() {
    std::string text;
    H5Ewalk2(
        H5E_DEFAULT, H5E_WALK_UPWARD,
        [](unsigned, const H5E_error2_t* entry, void* found) -> herr_t {
            if (entry->desc != nullptr) *static_cast<std::string*>(found) = entry->desc;
            return 1;  // the innermost is the first: stop there
        },
        &text);
    return text;
}

Handle string_type(size_t bytes) {
    Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
    H5Tset_size(type.get(), bytes == 0 ? 1 : bytes);
    H5Tset_cset(type.get(), H5T_CSET_UTF8);
    H5Tset_strpad(type.get(), H5T_STR_NULLPAD);
    return type;
}

}  // namespace xbench::h5
