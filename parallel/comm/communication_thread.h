// A thread beside the computing ones that does a rank's pieces of communication, always in the same order, as soon as
// computing allows each. It has no core of its own: it shares those of its rank, and sleeps while it waits.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace xbench {

class CommunicationThread {
public:
    // Piece of communication number 0, 1, 2 ... of a step, on a channel that nobody else calls (Communicator::channel).
    using Work = std::function<void(size_t number)>;
    explicit CommunicationThread(Work work);
    // Waits for the piece at hand; not to be called while the thread is stuck().
    ~CommunicationThread();
    CommunicationThread(const CommunicationThread&) = delete;
    CommunicationThread& operator=(const CommunicationThread&) = delete;

    void allow(size_t pieces);     // so many of this step may be done
    void wait_for(size_t pieces);  // until so many are done, which were allowed. Throws what one of them has thrown.
    void start_over();             // the next step begins; all that were allowed are done
    // Whether it is in a collective that its peers may never come to: only aborting the job ends that.
    bool stuck() const;

private:
    void run();

    const Work work_;
    size_t allowed_ = 0, done_ = 0;
    mutable std::mutex mutex_;  // over all but work_
    std::condition_variable changed_;
    std::exception_ptr failure_;
    bool stop_ = false;
    std::thread thread_;
};

}  // namespace xbench
