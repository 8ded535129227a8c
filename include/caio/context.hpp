/* caio/context.hpp - contexts, callbacks and requests
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef CAIO_CONTEXT_HPP
#define CAIO_CONTEXT_HPP

#include <caio/detail/core.hpp>
#include <caio/operations.hpp>
#include <caio/result.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#if __cplusplus >= 202002L
#include <version>
#endif

namespace caio {

#if defined(__cpp_impl_coroutine) && defined(__cpp_lib_coroutine)
template <class... Operation> class awaitable;
#endif

/* How operations are executed. See caio-backends(7). */
enum class backend : std::uint32_t {
    automatic = CAIO_BACKEND_AUTO,
    uring = CAIO_BACKEND_URING,
    linux_aio = CAIO_BACKEND_LINUX,
    thread = CAIO_BACKEND_THREAD,
};

/* "auto", "uring", "linux", "thread"; "" if unknown. */
inline std::string name_of(backend kind)
{
    const char *name = caio_backend_name(static_cast<std::uint32_t>(kind));
    return name ? name : "";
}

/* Checks whether a backend is available now. `why` receives the cause and the fix. */
inline result<void> probe(backend kind, std::string *why = nullptr)
{
    std::array<char, 512> text = {};
    int error = caio_backend_probe(static_cast<std::uint32_t>(kind), text.data(), text.size());
    if (why)
        *why = text.data();
    return error_of(error);
}

/* Checks a chain without submitting it. `why` receives the operation and the field that submit would refuse, and the cause. */
template <class... Operations> result<void> check(caio::chain<Operations...> &operations, std::string *why = nullptr)
{
    auto raw = detail::linked(operations.operations);
    std::array<char, 512> text = {};
    int error = caio_op_check(raw.data(), static_cast<std::uint32_t>(raw.size()), text.data(), text.size());
    if (why)
        *why = text.data();
    return error_of(error);
}

/* Options of a context; 0 means the default. See caio_ctx_new(3). */
struct options {
    enum backend backend = backend::automatic;
    std::uint32_t max_requests = 0;
    std::uint32_t threads = 0;
    std::uint32_t flags = 0; /* CAIO_CTX_* */
};

/* An operation or a chain that was started. It may outlive its context. Dropping a request does not cancel it. */
class request {
public:
    request() noexcept = default;
    /* Cancels the operations that have no event yet. Each still completes: with ECANCELED if it was stopped.
     * Returns how many were found. */
    result<std::size_t> cancel() noexcept
    {
        return detail::count_of(group_ ? group_->cancel() : -ENOENT);
    }

private:
    friend class context;
    explicit request(detail::group *owned) noexcept : group_(owned) {}
    struct release {
        void operator()(detail::group *owned) const noexcept { owned->release(); }
    };
    std::unique_ptr<detail::group, release> group_;
};

/* A context: a queue of operations and their completions, with a descriptor for an event loop.
 *
 * Threads: any thread may call anything, except the destructor. Handlers run in the thread that calls poll, wait or run.
 * With CAIO_CTX_SINGLE_THREAD, one thread does all of this.
 *
 * The destructor cancels what it can and waits for running disk operations. Then it destroys the handlers of the other
 * operations without calling them. Remove the descriptor from the loop before. */
class context {
public:
    /* Throws std::system_error. */
    explicit context(const caio::options &with = {}) : core_(std::make_unique<detail::core>())
    {
        int error = open(with);
        if (error < 0)
            throw std::system_error(error_of(error));
    }
    static result<context> create(const caio::options &with = {})
    {
        context made{std::make_unique<detail::core>()};
        int error = made.open(with);
        if (error < 0)
            return error_of(error);
        return made;
    }

    /* Submits an operation. `handler` is called once with its result, by poll, wait or run; for a chain, with the tuple.
     * It is not called if this fails: std::errc::resource_unavailable_try_again means that the context is full. */
    template <class Operation, class Handler> result<request> start(Operation operation, Handler handler)
    {
        return submit<true>(caio::chain<Operation>(std::move(operation)), std::move(handler));
    }
    template <class... Operations, class Handler>
    result<request> start(caio::chain<Operations...> operations, Handler handler)
    {
        return submit<false>(std::move(operations), std::move(handler));
    }

#if defined(__cpp_impl_coroutine) && defined(__cpp_lib_coroutine)
    /* For co_await: submits an operation or a chain, resumes with its result. See caio/coroutine.hpp. */
    template <class Operation, class... Stop> awaitable<Operation> async(Operation operation, Stop... stop);
    template <class... Operations, class... Stop>
    awaitable<chain<Operations...>> async(caio::chain<Operations...> operations, Stop... stop);
#endif

    /* Handles one batch of completions; returns their number. Never blocks. Call it once for each notification of the
     * descriptor. If a handler throws, the exception leaves poll, and the next call handles the rest of the batch. */
    result<std::size_t> poll() { return core_->poll(0, 0); }
    /* Waits for a completion and handles one batch. Returns 0 after `limit`, or after wake(). */
    result<std::size_t> wait() { return core_->poll(1, -1); }
    result<std::size_t> wait(std::chrono::nanoseconds limit)
    {
        return core_->poll(1, limit.count() < 0 ? 0 : std::int64_t{limit.count()});
    }
    /* Waits and handles completions until nothing is in flight. */
    result<void> run()
    {
        while (core_->busy()) {
            auto handled = wait();
            if (!handled && handled.error() != std::errc::interrupted)
                return handled.error();
        }
        return {};
    }
    /* Ends the current wait, or the next one. */
    result<void> wake() noexcept { return error_of(caio_ctx_wake(native())); }

    /* Readable while a completion is pending. Only for waiting: do not read or close it. */
    int descriptor() const noexcept { return caio_ctx_eventfd(core_->handle); }
    /* Windows: a waitable HANDLE, signalled while a completion is pending. Elsewhere it fails with ENOSYS. */
    result<void *> event_handle() const noexcept
    {
        void *handle = nullptr;
        int error = caio_ctx_event_handle(core_->handle, &handle);
        return detail::result_of(error, handle);
    }
    /* Whether this context has an opcode (CAIO_OP_*). An operation that the system lacks fails with EOPNOTSUPP. */
    bool supports(std::uint32_t opcode) const noexcept { return caio_ctx_supports(core_->handle, opcode) > 0; }
    caio::backend backend() const noexcept { return static_cast<caio::backend>(caio_ctx_backend(core_->handle)); }
    std::size_t max_requests() const noexcept { return static_cast<std::size_t>(caio_ctx_max_requests(core_->handle)); }
    caio_stats stats() const noexcept
    {
        caio_stats found = {};
        found.size = sizeof found;
        caio_ctx_stats(core_->handle, &found);
        return found;
    }
    /* Cancels every operation, or those that use `fd`. Returns how many were found. */
    result<std::size_t> cancel_all() noexcept { return detail::count_of(caio_ctx_cancel_all(native())); }
    result<std::size_t> cancel(caio::descriptor fd) noexcept { return detail::count_of(caio_ctx_cancel_fd(native(), fd.get())); }
    /* The context of the C functions. Do not submit to it, poll it or free it. */
    caio_ctx *native() const noexcept { return core_->handle; }

private:
    template <class...> friend class awaitable;
    explicit context(std::unique_ptr<detail::core> core) noexcept : core_(std::move(core)) {}

    int open(const caio::options &with) noexcept
    {
        caio_options raw = CAIO_OPTIONS_INIT;
        raw.backend = static_cast<std::uint32_t>(with.backend);
        raw.max_requests = with.max_requests;
        raw.threads = with.threads;
        raw.flags = with.flags;
        return caio_ctx_new(&raw, &core_->handle);
    }
    template <bool Single, class Handler, class... Operations>
    result<request> submit(caio::chain<Operations...> operations, Handler handler)
    {
        auto *group = new detail::callback<Single, Handler, Operations...>(std::move(operations.operations), std::move(handler));
        request owner(group);
        int error = group->submit(*core_);
        if (error < 0)
            return error_of(error);
        return owner;
    }
    std::unique_ptr<detail::core> core_;
};

} // namespace caio

#endif
