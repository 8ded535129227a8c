/* A coroutine for the C++ tests. */
#ifndef TASK_HPP
#define TASK_HPP
#include <coroutine>
#include <exception>
#include <utility>

/* A coroutine that starts at once, and that its owner destroys. */
class task {
public:
    struct promise_type {
        task get_return_object() { return task(std::coroutine_handle<promise_type>::from_promise(*this)); }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { std::terminate(); }
    };
    task(task &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    ~task() { destroy(); }
    bool done() const { return handle_.done(); }
    void destroy()
    {
        if (handle_)
            std::exchange(handle_, nullptr).destroy();
    }

private:
    explicit task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
    std::coroutine_handle<promise_type> handle_;
};
#endif
