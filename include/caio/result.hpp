/* caio/result.hpp - errors and results
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef CAIO_RESULT_HPP
#define CAIO_RESULT_HPP

#include <caio.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>
#include <utility>
#include <variant>

namespace caio {

namespace detail {

class category_type final : public std::error_category {
public:
    const char *name() const noexcept override { return "caio"; }
    std::string message(int code) const override { return caio_strerror(code); }
    /* Makes error codes comparable with std::errc. */
    std::error_condition default_error_condition(int code) const noexcept override
    {
        return std::error_condition(code, std::generic_category());
    }
};

} // namespace detail

/* The category of the library's errors. The values are errno values; they compare equal to std::errc. */
inline const std::error_category &category() noexcept
{
    static const detail::category_type instance;
    return instance;
}

/* The error of a negative result of the C functions; no error for other results. */
inline std::error_code error_of(std::int64_t result) noexcept
{
    return result < 0 ? std::error_code(static_cast<int>(-result), category()) : std::error_code();
}

/* A value or an error, with the members of std::expected<T, std::error_code> that matter here.
 * value() throws std::system_error if there is none. error() is no error if there is a value. */
template <class T> class [[nodiscard]] result {
public:
    using value_type = T;
    using error_type = std::error_code;

    result(T value) : held_(std::in_place_index<0>, std::move(value)) {}
    result(std::error_code error) : held_(std::in_place_index<1>, error) {}

    bool has_value() const noexcept { return held_.index() == 0; }
    explicit operator bool() const noexcept { return has_value(); }
    std::error_code error() const noexcept { return has_value() ? std::error_code() : *std::get_if<1>(&held_); }

    T &value() & { return check(), **this; }
    const T &value() const & { return check(), **this; }
    T &&value() && { return check(), *std::move(*this); }
    T &operator*() & noexcept { return *std::get_if<0>(&held_); }
    const T &operator*() const & noexcept { return *std::get_if<0>(&held_); }
    T &&operator*() && noexcept { return std::move(*std::get_if<0>(&held_)); }
    T *operator->() noexcept { return std::get_if<0>(&held_); }
    const T *operator->() const noexcept { return std::get_if<0>(&held_); }

    T value_or(T other) const & { return has_value() ? **this : std::move(other); }
    T value_or(T other) && { return has_value() ? *std::move(*this) : std::move(other); }

private:
    void check() const
    {
        if (!has_value())
            throw std::system_error(error());
    }
    std::variant<T, std::error_code> held_;
};

template <> class [[nodiscard]] result<void> {
public:
    using value_type = void;
    using error_type = std::error_code;

    result() noexcept = default;
    result(std::error_code error) noexcept : error_(error) {}

    bool has_value() const noexcept { return !error_; }
    explicit operator bool() const noexcept { return has_value(); }
    std::error_code error() const noexcept { return error_; }
    void value() const
    {
        if (error_)
            throw std::system_error(error_);
    }

private:
    std::error_code error_;
};

namespace detail {

/* The error of a negative result of the C functions, or else `success`. */
template <class T> result<T> result_of(std::int64_t value, T success)
{
    if (value < 0)
        return error_of(value);
    return {std::move(success)};
}
inline result<std::size_t> count_of(std::int64_t value) { return result_of(value, static_cast<std::size_t>(value)); }

} // namespace detail

} // namespace caio

#endif
