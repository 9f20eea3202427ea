// The one exception type of xbench. Set-up code throws it; kernels never throw; only main catches.
// An Error says what is wrong, where (file, key, tensor, layer) and what the user can do about it.
#pragma once

#include <stdexcept>
#include <string>

namespace xbench {

enum class ExitCode : int { done = 0, failed = 1, usage = 2, checkpointed = 75 };

class Error : public std::runtime_error {
public:
    // `where` and `remedy` may be empty. The message reads "where: what (remedy)".
    explicit Error(const std::string& what, const std::string& where = {}, const std::string& remedy = {},
                   ExitCode code = ExitCode::failed)
        : std::runtime_error(compose(what, where, remedy)), code_(code) {}

    ExitCode code() const noexcept { return code_; }

private:
    static std::string compose(const std::string& what, const std::string& where, const std::string& remedy) {
        std::string text = where.empty() ? what : where + ": " + what;
        if (!remedy.empty()) text += "; " + remedy;
        return text;
    }
    ExitCode code_;
};

// Another rank of the job has failed or died: the line that says why is that rank's.
class PeerFailure : public Error {
public:
    using Error::Error;
};

// A mistake in the command line or the configuration: exit code 2.
class UsageError : public Error {
public:
    explicit UsageError(const std::string& what, const std::string& where = {}, const std::string& remedy = {})
        : Error(what, where, remedy, ExitCode::usage) {}
};

}  // namespace xbench
