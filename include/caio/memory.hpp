/* caio/memory.hpp - views of memory, aligned buffers and descriptors
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef CAIO_MEMORY_HPP
#define CAIO_MEMORY_HPP

#include <caio/result.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#if __cplusplus >= 202002L
#include <span>
#endif

namespace caio {

namespace detail {

template <class T> using element_of = std::remove_pointer_t<decltype(std::data(std::declval<T &>()))>;

template <class T, class = void> struct is_memory : std::false_type {};
template <class T>
struct is_memory<T, std::void_t<element_of<T>, decltype(std::size(std::declval<T &>()))>>
    : std::is_trivially_copyable<element_of<T>> {};

template <class T, class = void> struct is_fixed : std::false_type {};
template <class T> struct is_fixed<T, std::void_t<decltype(std::tuple_size<T>::value)>> : std::true_type {};

/* Whether an argument T&& is memory of the caller: an lvalue, or a view such as std::span. */
template <class T, class Plain = std::remove_cv_t<std::remove_reference_t<T>>>
inline constexpr bool is_borrowed =
    is_memory<std::remove_reference_t<T>>::value &&
    (std::is_lvalue_reference_v<T> || (std::is_trivially_copyable_v<Plain> && !is_fixed<Plain>::value));

/* Whether an argument T&& is a container that the operation can own, such as std::vector, std::string or caio::buffer. */
template <class T>
inline constexpr bool is_owned = is_memory<T>::value && !std::is_reference_v<T> && !std::is_const_v<T> &&
                                 !std::is_trivially_copyable_v<T> && std::is_nothrow_move_constructible_v<T>;

} // namespace detail

/* Memory of the caller that an operation writes. Converts from arrays, containers and spans, and to std::span<std::byte>. */
class bytes {
public:
    bytes(void *data, std::size_t size) noexcept : data_(data), size_(size) {}
    template <class T, std::enable_if_t<detail::is_borrowed<T> && !std::is_same_v<std::decay_t<T>, bytes>, int> = 0,
              std::enable_if_t<!std::is_const_v<detail::element_of<T>>, int> = 0>
    bytes(T &&memory) noexcept : data_(std::data(memory)), size_(std::size(memory) * sizeof(detail::element_of<T>))
    {
    }
    std::byte *data() const noexcept { return static_cast<std::byte *>(data_); }
    std::size_t size() const noexcept { return size_; }
#if __cplusplus >= 202002L
    operator std::span<std::byte>() const noexcept { return {data(), size_}; }
#endif

private:
    void *data_;
    std::size_t size_;
};

/* Memory of the caller that an operation reads. Also converts from std::string_view. */
class const_bytes {
public:
    const_bytes(const void *data, std::size_t size) noexcept : data_(data), size_(size) {}
    template <class T, std::enable_if_t<detail::is_borrowed<T> && !std::is_same_v<std::decay_t<T>, const_bytes>, int> = 0>
    const_bytes(T &&memory) noexcept
        : data_(std::data(memory)), size_(std::size(memory) * sizeof(detail::element_of<T>))
    {
    }
    const std::byte *data() const noexcept { return static_cast<const std::byte *>(data_); }
    std::size_t size() const noexcept { return size_; }
#if __cplusplus >= 202002L
    operator std::span<const std::byte>() const noexcept { return {data(), size_}; }
#endif

private:
    const void *data_;
    std::size_t size_;
};

/* A descriptor that the destructor closes. */
class file {
public:
    file() noexcept = default;
    explicit file(int descriptor) noexcept : descriptor_(descriptor) {}
    file(file &&other) noexcept : descriptor_(other.release()) {}
    file &operator=(file &&other) noexcept
    {
        file(std::move(other)).swap(*this);
        return *this;
    }
    ~file()
    {
        if (descriptor_ >= 0)
            ::close(descriptor_);
    }
    int get() const noexcept { return descriptor_; }
    explicit operator bool() const noexcept { return descriptor_ >= 0; }
    int release() noexcept { return std::exchange(descriptor_, -1); }
    void swap(file &other) noexcept { std::swap(descriptor_, other.descriptor_); }

private:
    int descriptor_ = -1;
};

/* A descriptor that an operation uses. It must stay open until the operation completes. */
class descriptor {
public:
    descriptor(int number) noexcept : number_(number) {}
    descriptor(const file &open) noexcept : number_(open.get()) {}
    descriptor(file &&) = delete; /* it would be closed before the operation completes */
    int get() const noexcept { return number_; }

private:
    int number_;
};

/* What O_DIRECT requires of a file, in bytes. */
struct direct_alignment {
    std::size_t memory; /* of the buffer's address */
    std::size_t offset; /* of the file offset and the length */
};

/* Asks the kernel (STATX_DIOALIGN, Linux 6.1); where it does not know, 4096 suits nearly every device.
 * Fails with -EINVAL if the file does not support O_DIRECT. */
inline result<direct_alignment> alignment_of(descriptor open) noexcept
{
    direct_alignment found = {4096, 4096};
#if defined(__linux__)
    constexpr unsigned dioalign = 0x2000; /* STATX_DIOALIGN: older headers lack the name and the two fields */
    constexpr std::size_t mask_at = 0, memory_at = 152;
    alignas(8) unsigned char status[sizeof(struct statx)] = {};
    if (::statx(open.get(), "", AT_EMPTY_PATH, dioalign, reinterpret_cast<struct statx *>(status)) < 0)
        return std::error_code(errno, category());
    std::uint32_t mask, align[2];
    std::memcpy(&mask, status + mask_at, sizeof mask);
    std::memcpy(align, status + memory_at, sizeof align);
    if ((mask & dioalign) != 0) {
        if (align[0] == 0 || align[1] == 0)
            return std::error_code(EINVAL, category());
        found = {align[0], align[1]};
    }
#else
    static_cast<void>(open);
#endif
    return found;
}

/* Aligned memory on the heap. Movable, so that an operation can own it. */
class buffer {
public:
    buffer() noexcept = default;
    /* `alignment` is a power of two. Throws std::bad_alloc. */
    explicit buffer(std::size_t size, std::size_t alignment = 4096) : size_(size)
    {
        void *memory = nullptr;
        if (::posix_memalign(&memory, alignment < sizeof(void *) ? sizeof(void *) : alignment, size ? size : 1) != 0)
            throw std::bad_alloc();
        memory_.reset(static_cast<std::byte *>(memory));
    }
    buffer(buffer &&other) noexcept : memory_(std::move(other.memory_)), size_(std::exchange(other.size_, 0)) {}
    buffer &operator=(buffer &&other) noexcept
    {
        memory_ = std::move(other.memory_);
        size_ = std::exchange(other.size_, 0);
        return *this;
    }
    /* A buffer for O_DIRECT on `open`. Its size is `size`, rounded up to what the file requires. */
    static result<buffer> direct(descriptor open, std::size_t size)
    {
        auto alignment = alignment_of(open);
        if (!alignment)
            return alignment.error();
        return buffer((size + alignment->offset - 1) / alignment->offset * alignment->offset, alignment->memory);
    }
    std::byte *data() noexcept { return memory_.get(); }
    const std::byte *data() const noexcept { return memory_.get(); }
    std::size_t size() const noexcept { return size_; }
    /* The first `count` bytes. */
    bytes first(std::size_t count) noexcept { return bytes(data(), count); }

private:
    struct release {
        void operator()(std::byte *memory) const noexcept { std::free(memory); }
    };
    std::unique_ptr<std::byte, release> memory_;
    std::size_t size_ = 0;
};

} // namespace caio

#endif
