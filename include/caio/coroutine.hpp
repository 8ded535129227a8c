/* caio/coroutine.hpp - co_await for operations (C++20)
 * SPDX-License-Identifier: Apache-2.0
 *
 *     auto count = co_await context.async(caio::read(fd, memory));
 *     auto count = co_await context.async(caio::read(fd, memory), stop_token);
 *
 * The coroutine resumes in the thread that calls poll, wait or run, with the operation's result. It works in any coroutine
 * type. A request to stop cancels the operation, which then completes with ECANCELED or its true result.
 *
 * Destroying a suspended coroutine is safe. It cancels the operation. An operation that owns its memory keeps it until the
 * event. If memory is borrowed, it may lie in the coroutine, so the destruction waits for the event; the completions of other
 * operations stay for the next poll. If the context is destroyed first, the coroutine stays suspended, for its owner to destroy. */

#ifndef CAIO_COROUTINE_HPP
#define CAIO_COROUTINE_HPP

#include <caio/context.hpp>

#if defined(__cpp_impl_coroutine) && defined(__cpp_lib_coroutine)

#include <coroutine>
#if defined(__cpp_lib_jthread)
#include <stop_token>
#endif

namespace caio {

namespace detail {

/* A group that resumes a coroutine. */
template <class... Operations> class resumption final : public typed_group<Operations...> {
public:
    static constexpr bool borrows = (Operations::borrows || ...);

    using typed_group<Operations...>::typed_group;
    void suspend(std::coroutine_handle<> waiting) noexcept { waiting_ = waiting; }
    /* Submits, and cancels if a stop was requested before there was an operation to cancel. */
    int start(core &to) noexcept
    {
        int accepted = this->submit(to);
        submitted_ = true;
        if (accepted >= 0 && stopped_)
            this->cancel();
        return accepted;
    }
    void stop() noexcept
    {
        stopped_ = true;
        if (submitted_)
            this->cancel();
    }
    /* The coroutine is being destroyed. */
    void abandon(core &of) noexcept
    {
        abandoned_ = true;
        if (this->finished())
            return;
        this->cancel();
        if constexpr (borrows)
            of.drain(*this);
    }

private:
    void deliver() override
    {
        if (!abandoned_)
            waiting_.resume();
    }
    std::coroutine_handle<> waiting_;
    std::atomic<bool> abandoned_{false};
    std::atomic<bool> submitted_{false}, stopped_{false}; /* sequentially consistent: one of the two sides sees the other */
};

struct no_stop {};

} // namespace detail

/* What context::async returns. Await it at once, or keep it and await it once. */
template <class... Operations> class awaitable_group {
public:
#if defined(__cpp_lib_jthread)
    using stop_source = std::stop_token;
#else
    using stop_source = detail::no_stop;
#endif

    awaitable_group(detail::core &of, std::tuple<Operations...> operations, stop_source stop)
        : core_(&of), group_(new state(std::move(operations))), stop_(std::move(stop))
    {
    }
    awaitable_group(const awaitable_group &) = delete;
    awaitable_group &operator=(const awaitable_group &) = delete;
    ~awaitable_group()
    {
        canceller_.reset();
        if (started_)
            group_->abandon(*core_);
        group_->release();
    }

    bool await_ready()
    {
#if defined(__cpp_lib_jthread)
        if (stop_.stop_requested()) {
            group_->refuse(error_of(-ECANCELED));
            return true;
        }
#endif
        return false;
    }
    bool await_suspend(std::coroutine_handle<> waiting)
    {
        group_->suspend(waiting);
#if defined(__cpp_lib_jthread)
        if (stop_.stop_possible())
            canceller_.emplace(stop_, stopper{group_});
#endif
        started_ = true;
        state *group = group_;
        group->retain(); /* another thread may resume and destroy the coroutine before submit returns */
        int accepted = group->start(*core_);
        if (accepted < 0) {
            started_ = false;
            group->refuse(error_of(accepted));
        }
        group->release();
        return accepted >= 0;
    }

protected:
    auto take()
    {
        canceller_.reset();
        started_ = false;
        return group_->results();
    }

private:
    using state = detail::resumption<Operations...>;
    struct stopper {
        state *group;
        void operator()() const noexcept { group->stop(); }
    };
    detail::core *core_;
    state *group_;
    bool started_ = false;
    stop_source stop_;
#if defined(__cpp_lib_jthread)
    std::optional<std::stop_callback<stopper>> canceller_;
#else
    std::optional<int> canceller_;
#endif
};

/* An operation that a coroutine awaits; the result is the operation's. */
template <class... Operation> class [[nodiscard]] awaitable final : public awaitable_group<Operation...> {
public:
    using awaitable_group<Operation...>::awaitable_group;
    typename std::tuple_element_t<0, std::tuple<Operation...>>::result_type await_resume() { return std::get<0>(this->take()); }
};

/* A chain that a coroutine awaits; the result is the tuple of the operations' results. */
template <class... Operations> class [[nodiscard]] awaitable<chain<Operations...>> final : public awaitable_group<Operations...> {
public:
    using awaitable_group<Operations...>::awaitable_group;
    std::tuple<typename Operations::result_type...> await_resume() { return this->take(); }
};

template <class Operation, class... Stop> awaitable<Operation> context::async(Operation operation, Stop... stop)
{
    return awaitable<Operation>(*core_, std::tuple<Operation>(std::move(operation)), {std::move(stop)...});
}
template <class... Operations, class... Stop>
awaitable<chain<Operations...>> context::async(caio::chain<Operations...> operations, Stop... stop)
{
    return awaitable<chain<Operations...>>(*core_, std::move(operations.operations), {std::move(stop)...});
}

} // namespace caio

#endif
#endif
