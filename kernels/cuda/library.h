// What the libraries that are opened at run time share: finding functions, and reasons that live as long as the program.
#pragma once

#include <dlfcn.h>

#include <string>

namespace xbench {

// Opens the first of the names that is found; null where there is none.
inline void* open_library(std::initializer_list<const char*> names) {
    for (const char* name : names)
        if (void* const library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return library;
    return nullptr;
}

// The name of a function that the library lacks, else null.
template <class F>
const char* find_function(void* library, const char* name, F*& function) {
    function = reinterpret_cast<F*>(dlsym(library, name));
    return function ? nullptr : name;
}

}  // namespace xbench
