/* caio/operations.hpp - builders of operations
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each function returns one operation for context::start or context::async. The operation owns its paths, iovec arrays and
 * status structures. Data is one of:
 * - borrowed: an lvalue or a view. The caller keeps it valid and untouched until the operation completes.
 * - owned: an rvalue container, such as std::move(vector) or a caio::buffer. The operation returns it with its result. */

#ifndef CAIO_OPERATIONS_HPP
#define CAIO_OPERATIONS_HPP

#include <caio/memory.hpp>
#include <caio/result.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>

namespace caio {

/* The current position of a file. Use it for pipes, sockets and terminals. */
inline constexpr std::uint64_t current_position = CAIO_OFFSET_CURRENT;

/* In a chain: the descriptor that the nearest open before it in this chain opened. */
inline constexpr int opened = CAIO_FD_OPENED;

/* The outcome of an operation that owned its memory. */
template <class Memory> struct transferred {
    result<std::size_t> count; /* bytes moved, or the error */
    Memory memory;
    explicit operator bool() const noexcept { return count.has_value(); }
};

namespace detail {

/* The parts that all operations share. A context calls `prepare` when the operation has its final address, and `finish`
 * with the result of its event. */
template <class Derived> class basic_operation {
public:
    /* Cancels the operation after `limit`, from submission or from its start in a chain. */
    Derived timeout(std::chrono::nanoseconds limit) &&
    {
        raw_.timeout_ns = static_cast<std::uint64_t>(std::max<std::int64_t>(limit.count(), 1));
        return take();
    }
    /* A hint: a value of ioprio_set(2). */
    Derived priority(std::uint16_t value) &&
    {
        raw_.ioprio = value;
        return take();
    }
    bool closes_opened() const noexcept { return raw_.opcode == CAIO_OP_CLOSE && raw_.fd == opened; }

protected:
    explicit basic_operation(std::uint8_t opcode, int fd = 0) noexcept
    {
        raw_.opcode = opcode;
        raw_.fd = fd;
    }
    Derived take() { return std::move(static_cast<Derived &>(*this)); }
    static void *address(const void *memory) noexcept { return const_cast<void *>(memory); }
    caio_op raw_ = {};
};

/* read, write, readv and writev. */
template <class Derived> class transfer_operation : public basic_operation<Derived> {
public:
    /* Continues after a short transfer, until all is moved or the file ends. */
    Derived full() &&
    {
        this->raw_.flags |= CAIO_FLAG_FULL;
        return this->take();
    }
    /* RWF_* flags of preadv2(2) and pwritev2(2). */
    Derived flags(std::uint32_t value) &&
    {
        this->raw_.sys_flags = value;
        return this->take();
    }

protected:
    transfer_operation(std::uint8_t opcode, descriptor fd, std::uint64_t offset) noexcept
        : basic_operation<Derived>(opcode, fd.get())
    {
        this->raw_.offset = offset;
    }
    static result<std::size_t> count(std::int64_t value)
    {
        if (value < 0)
            return error_of(value);
        return static_cast<std::size_t>(value);
    }
};

} // namespace detail

/* A read or write of one piece of memory, borrowed or owned. */
template <class Memory> class transfer final : public detail::transfer_operation<transfer<Memory>> {
public:
    static constexpr bool borrows = std::is_same_v<Memory, bytes> || std::is_same_v<Memory, const_bytes>;
    using result_type = std::conditional_t<borrows, result<std::size_t>, transferred<Memory>>;

    transfer(std::uint8_t opcode, descriptor fd, Memory memory, std::uint64_t offset) noexcept
        : detail::transfer_operation<transfer>(opcode, fd, offset), memory_(std::move(memory))
    {
    }
    const caio_op &prepare() noexcept
    {
        this->raw_.buf = this->address(std::data(memory_));
        this->raw_.len = std::size(memory_) * sizeof(detail::element_of<Memory>);
        return this->raw_;
    }
    result_type finish(std::int64_t value)
    {
        if constexpr (borrows)
            return this->count(value);
        else
            return {this->count(value), std::move(memory_)};
    }

private:
    Memory memory_;
};

/* A read or write of several pieces of borrowed memory. The operation owns the iovec array. */
class vectored final : public detail::transfer_operation<vectored> {
public:
    static constexpr bool borrows = true;
    using result_type = result<std::size_t>;

    template <class View>
    vectored(std::uint8_t opcode, descriptor fd, const std::vector<View> &pieces, std::uint64_t offset)
        : transfer_operation(opcode, fd, offset)
    {
        for (const View &piece : pieces)
            vectors_.push_back({address(piece.data()), piece.size()});
    }
    const caio_op &prepare() noexcept
    {
        raw_.buf = vectors_.data();
        raw_.len = vectors_.size();
        return raw_;
    }
    result_type finish(std::int64_t value) { return count(value); }

private:
    std::vector<iovec> vectors_;
};

/* An operation with at most two paths, whose result is success or an error. */
class command final : public detail::basic_operation<command> {
public:
    static constexpr bool borrows = false;
    using result_type = result<void>;

    explicit command(std::uint8_t opcode, descriptor fd = 0) noexcept : basic_operation(opcode, fd.get()) {}
    command range(std::uint64_t offset, std::uint64_t length) &&
    {
        raw_.offset = offset;
        raw_.len = length;
        return take();
    }
    command path(std::string only) &&
    {
        first_ = std::move(only);
        paths_ = 1;
        return take();
    }
    command paths(std::string first, std::string second) &&
    {
        first_ = std::move(first);
        second_ = std::move(second);
        paths_ = 2;
        return take();
    }
    command how(std::uint32_t flags, std::uint32_t mode = 0) &&
    {
        raw_.sys_flags = flags;
        raw_.mode = mode;
        return take();
    }
    const caio_op &prepare() noexcept
    {
        raw_.buf = paths_ > 0 ? first_.data() : nullptr;
        raw_.buf2 = paths_ > 1 ? second_.data() : nullptr;
        return raw_;
    }
    result_type finish(std::int64_t value) noexcept { return error_of(value); }

private:
    std::string first_, second_;
    int paths_ = 0;
};

/* Opens a file. The result owns the descriptor; if no handler takes it, it is closed. */
class open_operation final : public detail::basic_operation<open_operation> {
public:
    static constexpr bool borrows = false;
    using result_type = result<file>;

    open_operation(descriptor directory, std::string path, int flags, ::mode_t mode) noexcept
        : basic_operation(CAIO_OP_OPENAT, directory.get()), path_(std::move(path))
    {
        raw_.sys_flags = static_cast<std::uint32_t>(flags);
        raw_.mode = mode;
    }
    const caio_op &prepare() noexcept
    {
        raw_.buf = path_.data();
        return raw_;
    }
    /* In a chain that closes the file itself, the result has no descriptor. */
    result_type finish(std::int64_t value)
    {
        if (value < 0)
            return error_of(value);
        return closed_ ? file() : file(static_cast<int>(value));
    }
    void closed_by_chain() noexcept { closed_ = true; }

private:
    std::string path_;
    bool closed_ = false;
};

/* Closes a file. If it is cancelled, the destructor of the operation closes the descriptor. */
class close_operation final : public detail::basic_operation<close_operation> {
public:
    static constexpr bool borrows = false;
    using result_type = result<void>;

    explicit close_operation(file open) noexcept : basic_operation(CAIO_OP_CLOSE, open.get()), file_(std::move(open)) {}
    const caio_op &prepare() noexcept { return raw_; }
    result_type finish(std::int64_t value) noexcept
    {
        if (value != -ECANCELED)
            file_.release();
        return error_of(value);
    }

private:
    file file_;
};

#if defined(__linux__)
/* Gets the status of a file. */
class stat_operation final : public detail::basic_operation<stat_operation> {
public:
    static constexpr bool borrows = false;
    using result_type = result<struct ::statx>;

    stat_operation(descriptor directory, std::string path, int flags, unsigned mask) noexcept
        : basic_operation(CAIO_OP_STATX, directory.get()), path_(std::move(path))
    {
        raw_.sys_flags = static_cast<std::uint32_t>(flags);
        raw_.mode = mask;
    }
    const caio_op &prepare() noexcept
    {
        raw_.buf = path_.data();
        raw_.buf2 = &status_;
        return raw_;
    }
    result_type finish(std::int64_t value) noexcept
    {
        if (value < 0)
            return error_of(value);
        return status_;
    }

private:
    std::string path_;
    struct ::statx status_ = {};
};
#endif

/* Any operation of caio.h. The caller keeps its memory valid until it completes; `user_data` is ignored. */
class raw_operation final : public detail::basic_operation<raw_operation> {
public:
    static constexpr bool borrows = true;
    using result_type = result<std::int64_t>;

    explicit raw_operation(const caio_op &operation) noexcept : basic_operation(operation.opcode) { raw_ = operation; }
    const caio_op &prepare() noexcept { return raw_; }
    result_type finish(std::int64_t value) noexcept
    {
        if (value < 0)
            return error_of(value);
        return value;
    }
};

namespace detail {

/* The result of an operation that was never submitted. */
template <class Operation> typename Operation::result_type refuse(Operation &operation, std::error_code error)
{
    return operation.finish(-error.value());
}
inline result<void> refuse(close_operation &, std::error_code error) { return error; }

} // namespace detail

/* Several operations, each of which starts only after the one before it succeeded in full.
 * The result is a std::tuple with one result for each; those that did not start have ECANCELED. */
template <class... Operations> struct chain {
    explicit chain(Operations... operations) : operations(std::move(operations)...)
    {
        mark_opens<sizeof...(Operations)>(false);
    }
    std::tuple<Operations...> operations;

private:
    /* From the last operation to the first: an open whose file the chain closes yields no descriptor. */
    template <std::size_t Count> void mark_opens(bool closes) noexcept
    {
        if constexpr (Count > 0) {
            auto &operation = std::get<Count - 1>(operations);
            if constexpr (std::is_same_v<std::decay_t<decltype(operation)>, open_operation>) {
                if (closes)
                    operation.closed_by_chain();
                closes = false;
            }
            mark_opens<Count - 1>(closes || operation.closes_opened());
        }
    }
};

/* Reads at most the size of `memory` at `offset`. Borrows `memory`. See CAIO_OP_READ. */
template <class T, std::enable_if_t<detail::is_borrowed<T>, int> = 0>
transfer<bytes> read(descriptor fd, T &&memory, std::uint64_t offset = 0) noexcept
{
    return {CAIO_OP_READ, fd, bytes(memory), offset};
}
/* Reads into `memory`, which the operation owns until it completes. */
template <class T, std::enable_if_t<detail::is_owned<T>, int> = 0>
transfer<T> read(descriptor fd, T &&memory, std::uint64_t offset = 0) noexcept
{
    return {CAIO_OP_READ, fd, std::move(memory), offset};
}
/* Writes at most `memory` at `offset`. Borrows `memory`. See CAIO_OP_WRITE. */
template <class T, std::enable_if_t<detail::is_borrowed<T>, int> = 0>
transfer<const_bytes> write(descriptor fd, T &&memory, std::uint64_t offset = 0) noexcept
{
    return {CAIO_OP_WRITE, fd, const_bytes(memory), offset};
}
/* Writes `memory`, which the operation owns until it completes. */
template <class T, std::enable_if_t<detail::is_owned<T>, int> = 0>
transfer<T> write(descriptor fd, T &&memory, std::uint64_t offset = 0) noexcept
{
    return {CAIO_OP_WRITE, fd, std::move(memory), offset};
}
/* Reads into several pieces of borrowed memory: caio::readv(fd, {header, body}). See CAIO_OP_READV. */
inline vectored readv(descriptor fd, const std::vector<bytes> &pieces, std::uint64_t offset = 0)
{
    return {CAIO_OP_READV, fd, pieces, offset};
}
/* Writes several pieces of borrowed memory. See CAIO_OP_WRITEV. */
inline vectored writev(descriptor fd, const std::vector<const_bytes> &pieces, std::uint64_t offset = 0)
{
    return {CAIO_OP_WRITEV, fd, pieces, offset};
}

/* Does nothing. */
inline command nop() noexcept { return command(CAIO_OP_NOP); }
/* Syncs data and metadata. It covers the writes that completed before it was submitted. */
inline command fsync(descriptor fd) noexcept { return command(CAIO_OP_FSYNC, fd); }
/* Like fsync, without metadata that is not needed to read the data. */
inline command fdatasync(descriptor fd) noexcept { return command(CAIO_OP_FDSYNC, fd); }
/* See sync_file_range(2). */
inline command sync_range(descriptor fd, std::uint64_t offset, std::uint64_t length, unsigned flags)
{
    return command(CAIO_OP_SYNC_RANGE, fd).range(offset, length).how(flags);
}
/* Allocates or changes the space of a range; `flags` are FALLOC_FL_*. See fallocate(2). */
inline command allocate(descriptor fd, std::uint64_t offset, std::uint64_t length, unsigned flags = 0)
{
    return command(CAIO_OP_ALLOCATE, fd).range(offset, length).how(flags);
}
/* Changes the size of a file. */
inline command truncate(descriptor fd, std::uint64_t size) { return command(CAIO_OP_TRUNCATE, fd).range(size, 0); }
/* Opens `path`, relative to `directory`; `flags` are O_*. See openat(2). */
inline open_operation open(std::string path, int flags, ::mode_t mode = 0666, descriptor directory = AT_FDCWD) noexcept
{
    return open_operation(directory, std::move(path), flags, mode);
}
/* Closes a file. */
inline close_operation close(file open) noexcept { return close_operation(std::move(open)); }
#if defined(__linux__)
/* Gets the status of `path`; `flags` are AT_*, `mask` is STATX_*. See statx(2). */
inline stat_operation stat(std::string path, int flags = 0, unsigned mask = 0x7ff, descriptor directory = AT_FDCWD) noexcept
{
    return stat_operation(directory, std::move(path), flags, mask);
}
#endif
/* Renames a file; `flags` are RENAME_*. Both paths are relative to `directory`. See renameat2(2). */
inline command rename(std::string from, std::string to, unsigned flags = 0, descriptor directory = AT_FDCWD)
{
    return command(CAIO_OP_RENAMEAT, directory).paths(std::move(from), std::move(to)).how(flags);
}
/* Removes a file, or with AT_REMOVEDIR a directory. See unlinkat(2). */
inline command unlink(std::string path, unsigned flags = 0, descriptor directory = AT_FDCWD)
{
    return command(CAIO_OP_UNLINKAT, directory).path(std::move(path)).how(flags);
}
/* Creates a hard link. Both paths are relative to `directory`; `flags` are AT_*. See linkat(2). */
inline command link(std::string from, std::string to, unsigned flags = 0, descriptor directory = AT_FDCWD)
{
    return command(CAIO_OP_LINKAT, directory).paths(std::move(from), std::move(to)).how(flags);
}
/* Creates a symbolic link at `path` with the text `target`. See symlinkat(2). */
inline command symlink(std::string target, std::string path, descriptor directory = AT_FDCWD)
{
    return command(CAIO_OP_SYMLINKAT, directory).paths(std::move(target), std::move(path));
}
/* Changes the permissions of `path`. See fchmodat(2). */
inline command chmod(std::string path, ::mode_t mode, unsigned flags = 0, descriptor directory = AT_FDCWD)
{
    return command(CAIO_OP_FCHMODAT, directory).path(std::move(path)).how(flags, mode);
}
/* Syncs the file system that holds a file. See syncfs(2). */
inline command syncfs(descriptor fd) noexcept { return command(CAIO_OP_SYNCFS, fd); }
/* Announces how a range will be used; `advice` is POSIX_FADV_*. See posix_fadvise(2). */
inline command advise(descriptor fd, std::uint64_t offset, std::uint64_t length, unsigned advice)
{
    return command(CAIO_OP_FADVISE, fd).range(offset, length).how(advice);
}
/* In a chain: closes the file that the chain opened, whatever became of the operations between. */
inline command close_opened() noexcept { return command(CAIO_OP_CLOSE, opened); }
/* Creates a directory. See mkdirat(2). */
inline command mkdir(std::string path, ::mode_t mode = 0777, descriptor directory = AT_FDCWD)
{
    return command(CAIO_OP_MKDIRAT, directory).path(std::move(path)).how(0, mode);
}
/* An operation of caio.h without a builder of its own. */
inline raw_operation raw(const caio_op &operation) noexcept { return raw_operation(operation); }

} // namespace caio

#endif
