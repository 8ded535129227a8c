/* caio/detail/core.hpp - what contexts, callbacks and coroutines share; not for programs
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef CAIO_DETAIL_CORE_HPP
#define CAIO_DETAIL_CORE_HPP

#include <caio/operations.hpp>
#include <caio/result.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <tuple>
#include <utility>

namespace caio::detail {

class core;
class group;

/* One operation in flight. Its address is the operation's `user_data`. */
struct slot {
    group *owner = nullptr;
    std::size_t index = 0;
    std::int64_t result = 0;
    slot *next = nullptr; /* of the core's list in flight, or of a batch of completions */
    slot *previous = nullptr;
};

/* The operations of one submission. Its owners are the context, until the last event, and a request or an awaitable. */
class group {
public:
    virtual ~group() = default;
    group(const group &) = delete;
    group &operator=(const group &) = delete;

    void release() noexcept
    {
        if (owners_.fetch_sub(1, std::memory_order_acq_rel) == 1)
            delete this;
    }
    void retain() noexcept { owners_.fetch_add(1, std::memory_order_relaxed); }
    /* Returns how many operations were found, or -ENOENT. */
    int cancel() noexcept;
    bool finished() const noexcept { return core_.load() == nullptr; }
    /* An operation completed. The last one calls the handler, then drops the context's reference. */
    void complete(const slot &of);
    /* The context is gone: the operation has no result. */
    void drop() noexcept;

protected:
    explicit group(std::size_t count) noexcept : left_(count) {}
    /* Returns a negative errno, with which nothing was submitted. */
    int submit(core &to, slot *slots, caio_op *operations, std::size_t count) noexcept;

private:
    virtual void store(std::size_t index, std::int64_t result) = 0;
    virtual void deliver() = 0;
    bool last() noexcept { return left_.fetch_sub(1, std::memory_order_acq_rel) == 1; }

    std::atomic<unsigned> owners_{1};
    std::atomic<std::size_t> left_;
    std::atomic<core *> core_{nullptr}; /* while it is in flight */
    slot *slots_ = nullptr;
    std::size_t count_ = 0;
};

/* The state of a context. */
class core {
public:
    core() = default;
    core(const core &) = delete;
    core &operator=(const core &) = delete;
    ~core()
    {
        caio_ctx_free(std::exchange(handle, nullptr));
        while (slot *lost = pop(in_flight_))
            lost->owner->drop();
        while (slot *lost = pop(ready_))
            lost->owner->drop();
    }

    caio_ctx *handle = nullptr;

    bool busy() noexcept
    {
        std::lock_guard<std::mutex> lock(mutex_);
        return !in_flight_.empty() || !ready_.empty();
    }
    void add(slot *slots, std::size_t count) noexcept
    {
        std::lock_guard<std::mutex> lock(mutex_);
        for (std::size_t i = 0; i < count; i++)
            append(in_flight_, &slots[i]);
    }
    void remove(slot *slots, std::size_t count) noexcept
    {
        std::lock_guard<std::mutex> lock(mutex_);
        for (std::size_t i = 0; i < count; i++)
            unlink(&slots[i]);
    }
    /* Takes and handles one batch. */
    result<std::size_t> poll(std::uint32_t least, std::int64_t limit)
    {
        struct signals {
            core *owner;
            ~signals() { owner->signal(); }
        } guard{this}; /* a handler may throw */
        int count = take(least, limit);
        std::size_t handled = 0;
        for (slot *next; handled < batch && (next = next_ready()) != nullptr; handled++)
            next->owner->complete(*next);
        if (count < 0 && handled == 0)
            return error_of(count);
        return handled;
    }
    /* Blocks until every event of `wanted` was taken. The completions of other operations wait for the next poll. */
    void drain(const group &wanted) noexcept
    {
        for (;;) {
            while (slot *next = next_ready(&wanted))
                next->owner->complete(*next);
            if (wanted.finished())
                break;
            /* Bounded, because another thread may take the event. */
            int count = take(1, 10'000'000);
            if (count == -EOWNERDEAD)
                break; /* a child of fork: nothing touches its memory */
            if (count < 0 && count != -EINTR)
                std::terminate(); /* a SINGLE_THREAD context of another thread: the memory is still in use */
        }
        signal();
    }

private:
    static constexpr std::size_t batch = 64;

    /* A circular list with a head. */
    struct list : slot {
        list() noexcept { next = previous = this; }
        bool empty() const noexcept { return next == this; }
    };
    static void unlink(slot *of) noexcept
    {
        of->previous->next = of->next;
        of->next->previous = of->previous;
        of->next = of->previous = nullptr;
    }
    static void append(list &to, slot *of) noexcept
    {
        of->previous = to.previous;
        of->next = &to;
        to.previous->next = of;
        to.previous = of;
    }
    static slot *pop(list &from) noexcept
    {
        slot *first = from.next;
        if (from.empty())
            return nullptr;
        unlink(first);
        return first;
    }
    /* The oldest completion, or the oldest of `wanted`. */
    slot *next_ready(const group *wanted = nullptr) noexcept
    {
        std::lock_guard<std::mutex> lock(mutex_);
        slot *of = ready_.next;
        while (of != &ready_ && wanted && of->owner != wanted)
            of = of->next;
        if (of == &ready_)
            return nullptr;
        unlink(of);
        return of;
    }
    bool any_ready() noexcept
    {
        std::lock_guard<std::mutex> lock(mutex_);
        return !ready_.empty();
    }
    /* Moves events of the library to the ready list. */
    int take(std::uint32_t least, std::int64_t limit) noexcept
    {
        std::array<caio_event, batch> events;
        int count = least > 0 && !any_ready()
                        ? caio_ctx_wait(handle, events.data(), least, batch, limit)
                        : caio_ctx_poll(handle, events.data(), batch);
        std::lock_guard<std::mutex> lock(mutex_);
        for (int i = 0; i < count; i++) {
            const caio_event &event = events[static_cast<std::size_t>(i)];
            auto *of = reinterpret_cast<slot *>(static_cast<std::uintptr_t>(event.user_data));
            if (!of)
                continue;
            of->result = event.result;
            unlink(of);
            append(ready_, of);
        }
        return count;
    }
    /* If completions were left, makes the descriptor readable: a NOP completes immediately. */
    void signal() noexcept
    {
        if (!any_ready())
            return;
        caio_op nop = {};
        nop.opcode = CAIO_OP_NOP;
        caio_ctx_submit(handle, &nop, 1); /* if handlers filled the context again, its next completion wakes the loop */
    }

    std::mutex mutex_; /* of the lists */
    list in_flight_, ready_;
};

inline int group::cancel() noexcept
{
    core *of = core_.load();
    int total = 0;
    for (std::size_t i = 0; of && of->handle && i < count_; i++)
        total += std::max(caio_ctx_cancel(of->handle, reinterpret_cast<std::uintptr_t>(&slots_[i])), 0);
    return total > 0 ? total : -ENOENT;
}

inline int group::submit(core &to, slot *slots, caio_op *operations, std::size_t count) noexcept
{
    slots_ = slots;
    count_ = count;
    for (std::size_t i = 0; i < count; i++) {
        slots[i].owner = this;
        slots[i].index = i;
        operations[i].user_data = reinterpret_cast<std::uintptr_t>(&slots[i]);
    }
    retain();
    core_.store(&to);
    to.add(slots, count); /* before submit: another thread may take the event before it returns */
    int accepted = caio_ctx_submit(to.handle, operations, static_cast<std::uint32_t>(count));
    if (accepted < 0) {
        to.remove(slots, count);
        core_.store(nullptr);
        release();
    }
    return accepted;
}

inline void group::complete(const slot &of)
{
    store(of.index, of.result);
    if (!last())
        return;
    struct releases {
        group *owner;
        ~releases() { owner->release(); }
    } guard{this};
    core_.store(nullptr);
    deliver();
}

inline void group::drop() noexcept
{
    core_.store(nullptr);
    if (last())
        release();
}

/* Operations as the library takes them: a chain. */
template <class... Operations> std::array<caio_op, sizeof...(Operations)> linked(std::tuple<Operations...> &operations) noexcept
{
    auto raw = std::apply([](auto &...each) { return std::array<caio_op, sizeof...(Operations)>{each.prepare()...}; }, operations);
    for (std::size_t i = 0; i + 1 < raw.size(); i++)
        raw[i].flags = static_cast<std::uint8_t>(raw[i].flags | CAIO_FLAG_LINK);
    return raw;
}

/* A group with its operations and their results. */
template <class... Operations> class typed_group : public group {
public:
    explicit typed_group(std::tuple<Operations...> operations)
        : group(sizeof...(Operations)), operations_(std::move(operations))
    {
    }
    int submit(core &to) noexcept
    {
        auto raw = linked(operations_);
        return group::submit(to, slots_.data(), raw.data(), raw.size());
    }
    /* The results of operations that were not submitted. */
    void refuse(std::error_code error)
    {
        refuse(error, std::index_sequence_for<Operations...>());
    }
    std::tuple<typename Operations::result_type...> results()
    {
        return std::apply([](auto &...each) { return std::tuple<typename Operations::result_type...>(*std::move(each)...); }, results_);
    }

private:
    template <std::size_t... I> void refuse(std::error_code error, std::index_sequence<I...>)
    {
        (std::get<I>(results_).emplace(detail::refuse(std::get<I>(operations_), error)), ...);
    }
    template <std::size_t... I> void store(std::size_t index, std::int64_t value, std::index_sequence<I...>)
    {
        ((I == index ? static_cast<void>(std::get<I>(results_).emplace(std::get<I>(operations_).finish(value))) : void()), ...);
    }
    void store(std::size_t index, std::int64_t value) override { store(index, value, std::index_sequence_for<Operations...>()); }

    std::tuple<Operations...> operations_;
    std::tuple<std::optional<typename Operations::result_type>...> results_;
    std::array<slot, sizeof...(Operations)> slots_;
};

/* A group that calls a handler. */
template <bool Single, class Handler, class... Operations> class callback final : public typed_group<Operations...> {
public:
    callback(std::tuple<Operations...> operations, Handler handler)
        : typed_group<Operations...>(std::move(operations)), handler_(std::move(handler))
    {
    }

private:
    void deliver() override
    {
        /* The handler goes before it runs, with what it owns: the request may live on. */
        Handler handler = *std::exchange(handler_, std::nullopt);
        if constexpr (Single)
            handler(std::get<0>(this->results()));
        else
            handler(this->results());
    }
    std::optional<Handler> handler_;
};

} // namespace caio::detail

#endif
