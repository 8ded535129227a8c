/* caio/asio.hpp - files for Boost.Asio, or for Asio with CAIO_ASIO_STANDALONE defined
 * SPDX-License-Identifier: Apache-2.0
 *
 *     caio::asio::random_access_file file(io.get_executor(), caio::file(::open(path, O_RDONLY | O_CLOEXEC)));
 *     file.async_read_some_at(0, buffer(memory), [](error_code error, std::size_t count) { ... });
 *     std::size_t count = co_await async_read_at(file, 0, buffer(memory), use_awaitable);
 *
 * One context of libcaio serves an execution context. Its descriptor is watched while operations are in flight, so that run()
 * returns when there is no more work. An execution context may run on several threads. Cancellation slots work where Asio has
 * them. If the execution context is destroyed, operations in flight are cancelled, and their handlers are not called. */

#ifndef CAIO_ASIO_HPP
#define CAIO_ASIO_HPP

#include <caio/context.hpp>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <fcntl.h>

#if defined(CAIO_ASIO_STANDALONE)
#include <asio.hpp>
#define CAIO_ASIO_SLOTS (ASIO_VERSION >= 101900)
#else
#include <boost/asio.hpp>
#define CAIO_ASIO_SLOTS (BOOST_ASIO_VERSION >= 101900)
#endif

namespace caio::asio {

#if defined(CAIO_ASIO_STANDALONE)
inline namespace standalone {
namespace net = ::asio;
using error_code = std::error_code;
#else
inline namespace with_boost {
namespace net = ::boost::asio;
using error_code = ::boost::system::error_code;
#endif

/* The error in Asio's terms: ECANCELED is net::error::operation_aborted. */
inline error_code translate(std::error_code error)
{
    return error ? error_code(error.value(), net::error::get_system_category()) : error_code();
}

/* The service of an execution context: the context of libcaio, and the watcher of its descriptor. Its executor is that of the
 * first file. Operations wait in a queue while the context is full. */
class service : public net::execution_context::service {
public:
    using key_type = service;
    inline static net::execution_context::id id;

    /* An operation, for a later cancel. */
    struct handle {
        bool cancelled = false;
        request started;
    };

    explicit service(net::execution_context &owner) : net::execution_context::service(owner), context_(std::in_place) {}

    caio::context &context() noexcept { return *context_; }

    /* Starts an operation. `handler` is called once, from a thread that runs the execution context. */
    template <class Executor, class Operation, class Handler>
    std::shared_ptr<handle> start(const Executor &executor, Operation operation, Handler handler)
    {
        auto made = std::make_shared<handle>();
        auto launch = [this, executor, made, what = std::make_shared<Operation>(std::move(operation)),
                       call = std::make_shared<Handler>(std::move(handler))] {
            auto got = context_->start(std::move(*what), [this, call](auto result) {
                finished();
                (*call)(std::move(result));
            });
            if (got) {
                made->started = *std::move(got);
                if (made->cancelled)
                    static_cast<void>(made->started.cancel());
                return;
            }
            in_flight_--;
            net::post(executor, [call, error = got.error()] { (*call)(typename Operation::result_type(error)); });
        };
        std::lock_guard<std::mutex> lock(mutex_);
        if (!watched_)
            watched_.emplace(executor, ::fcntl(context_->descriptor(), F_DUPFD_CLOEXEC, 0));
        queue_.push_back(std::move(launch));
        launch_some();
        watch();
        return made;
    }
    void cancel(handle &of)
    {
        std::lock_guard<std::mutex> lock(mutex_);
        of.cancelled = true; /* if it is still in the queue, it is cancelled when it starts */
        static_cast<void>(of.started.cancel());
    }
    void cancel(caio::descriptor fd)
    {
        std::lock_guard<std::mutex> lock(mutex_);
        static_cast<void>(context_->cancel(fd));
    }

private:
    void shutdown() override
    {
        watched_.reset(); /* before the context, which owns the descriptor */
        queue_.clear();
        context_.reset();
    }
    void launch_some()
    {
        while (!queue_.empty() && in_flight_ < context_->max_requests()) {
            in_flight_++;
            queue_.front()();
            queue_.pop_front();
        }
    }
    void finished()
    {
        std::lock_guard<std::mutex> lock(mutex_);
        in_flight_--;
        launch_some();
    }
    void watch()
    {
        if (watching_ || in_flight_ == 0)
            return;
        watching_ = true;
        watched_->async_wait(net::posix::descriptor_base::wait_read, [this](const error_code &error) {
            if (!error)
                handle_batch();
        });
    }
    void handle_batch()
    {
        struct watches_again {
            service *owner;
            ~watches_again()
            {
                std::lock_guard<std::mutex> lock(owner->mutex_);
                owner->watching_ = false;
                owner->watch();
            }
        } guard{this}; /* a handler may throw */
        static_cast<void>(context_->poll());
    }

    std::optional<caio::context> context_;
    std::mutex mutex_; /* of everything below */
    std::optional<net::posix::stream_descriptor> watched_;
    std::deque<std::function<void()>> queue_;
    std::size_t in_flight_ = 0;
    bool watching_ = false;
};

/* A file for async_read_at and async_write_at. Operations in flight keep the descriptor open. */
template <class Executor = net::any_io_executor> class basic_random_access_file {
public:
    using executor_type = Executor;

    basic_random_access_file(const Executor &executor, caio::file open)
        : executor_(executor), service_(&net::use_service<service>(net::query(executor, net::execution::context))),
          file_(std::make_shared<caio::file>(std::move(open)))
    {
    }
    executor_type get_executor() const noexcept { return executor_; }
    bool is_open() const noexcept { return file_ && *file_; }
    int native_handle() const noexcept { return file_ ? file_->get() : -1; }
    /* Cancels the operations of this file. Their handlers get operation_aborted, or the result. */
    void cancel()
    {
        if (is_open())
            service_->cancel(*file_);
    }
    /* Cancels, then closes when the last operation has completed. */
    void close()
    {
        cancel();
        file_.reset();
    }

    /* Reads at most the size of `buffers` at `offset`; net::error::eof at the end of the file. The memory must stay valid until
     * the handler is called, with void(error_code, std::size_t). */
    template <class Buffers, class Token> auto async_read_some_at(std::uint64_t offset, const Buffers &buffers, Token &&token)
    {
        auto pieces = pieces_of<bytes>(net::buffer_sequence_begin(buffers), net::buffer_sequence_end(buffers));
        bool can_end = net::buffer_size(buffers) > 0;
        return transfer(readv(native_handle(), pieces, offset), can_end, std::forward<Token>(token));
    }
    /* Writes at most `buffers` at `offset`. */
    template <class Buffers, class Token> auto async_write_some_at(std::uint64_t offset, const Buffers &buffers, Token &&token)
    {
        auto pieces = pieces_of<const_bytes>(net::buffer_sequence_begin(buffers), net::buffer_sequence_end(buffers));
        return transfer(writev(native_handle(), pieces, offset), false, std::forward<Token>(token));
    }
    /* Syncs the data (fdatasync), with void(error_code). */
    template <class Token> auto async_sync(Token &&token)
    {
        return net::async_initiate<Token, void(error_code)>(
            [this](auto handler) {
                this->start(fdatasync(native_handle()), std::move(handler), [](auto &call, const result<void> &done) {
                    call(translate(done.error()));
                });
            },
            token);
    }

private:
    template <class View, class Iterator> static std::vector<View> pieces_of(Iterator first, Iterator last)
    {
        constexpr std::size_t most = 64; /* as Asio's own reads; the rest makes the transfer short */
        std::vector<View> pieces;
        for (; first != last && pieces.size() < most; ++first)
            pieces.emplace_back(first->data(), first->size());
        return pieces;
    }
    template <class Token> auto transfer(vectored operation, bool can_end, Token &&token)
    {
        return net::async_initiate<Token, void(error_code, std::size_t)>(
            [this, can_end](auto handler, vectored what) {
                this->start(std::move(what), std::move(handler), [can_end](auto &call, const result<std::size_t> &done) {
                    if (done && *done == 0 && can_end)
                        call(error_code(net::error::eof), std::size_t{0});
                    else
                        call(translate(done.error()), done.value_or(0));
                });
            },
            token, std::move(operation));
    }
    template <class Operation, class Handler, class Deliver> void start(Operation operation, Handler handler, Deliver deliver)
    {
        auto executor = net::get_associated_executor(handler, executor_);
#if CAIO_ASIO_SLOTS
        auto slot = net::get_associated_cancellation_slot(handler);
#endif
        auto work = net::make_work_guard(executor);
        auto done = [kept = file_, work = std::move(work), handler = std::move(handler), deliver](auto result) mutable {
            kept.reset();
            auto on = work.get_executor();
            net::dispatch(on, [handler = std::move(handler), deliver, result = std::move(result)]() mutable {
                auto call = [&handler](auto... arguments) { std::move(handler)(arguments...); };
                deliver(call, result);
            });
        };
        auto started = service_->start(executor_, std::move(operation), std::move(done));
#if CAIO_ASIO_SLOTS
        if (slot.is_connected())
            slot.assign([to = service_, started](net::cancellation_type) { to->cancel(*started); });
#else
        static_cast<void>(started);
#endif
    }
    Executor executor_;
    service *service_;
    std::shared_ptr<caio::file> file_;
};

using random_access_file = basic_random_access_file<>;

} // inline namespace
} // namespace caio::asio

#endif
