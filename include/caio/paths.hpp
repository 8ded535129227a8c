/* caio/paths.hpp - builders of operations on paths, directories and attributes
 * SPDX-License-Identifier: Apache-2.0
 *
 * The operations own their paths, names, values and status structures. `directory` may be caio::opened in a chain. */

#ifndef CAIO_PATHS_HPP
#define CAIO_PATHS_HPP

#include <caio/operations.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#if defined(__linux__)
#include <sys/statfs.h>
#endif

namespace caio {

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
    result_type finish(std::int64_t value) noexcept { return detail::result_of(value, status_); }

private:
    std::string path_;
    struct ::statx status_ = {};
};

/* Gets the status of the file system of a file. */
class statfs_operation final : public detail::basic_operation<statfs_operation> {
public:
    static constexpr bool borrows = false;
    using result_type = result<struct ::statfs>;

    explicit statfs_operation(descriptor fd) noexcept : basic_operation(CAIO_OP_FSTATFS, fd.get()) {}
    const caio_op &prepare() noexcept
    {
        raw_.buf2 = &status_;
        return raw_;
    }
    result_type finish(std::int64_t value) noexcept { return detail::result_of(value, status_); }

private:
    struct ::statfs status_ = {};
};
#endif

/* Gets a text of at most `room` bytes: of a symbolic link or an extended attribute. */
class text_operation final : public detail::basic_operation<text_operation> {
public:
    static constexpr bool borrows = false;
    using result_type = result<std::string>;

    text_operation(std::uint8_t opcode, descriptor fd, std::string name, std::size_t room)
        : basic_operation(opcode, fd.get()), name_(std::move(name)), text_(room, '\0')
    {
    }
    const caio_op &prepare() noexcept
    {
        raw_.buf = raw_.opcode == CAIO_OP_FLISTXATTR ? nullptr : name_.data();
        raw_.buf2 = text_.data();
        raw_.len = text_.size();
        return raw_;
    }
    result_type finish(std::int64_t value)
    {
        if (value < 0)
            return error_of(value);
        text_.resize(static_cast<std::size_t>(value));
        return std::move(text_);
    }

private:
    std::string name_, text_;
};

/* Changes the times of a file. */
class times_operation final : public detail::basic_operation<times_operation> {
public:
    static constexpr bool borrows = false;
    using result_type = result<void>;

    times_operation(descriptor directory, std::string path, ::timespec access, ::timespec modification, unsigned flags) noexcept
        : basic_operation(CAIO_OP_UTIMENSAT, directory.get()), path_(std::move(path)), times_{access, modification}
    {
        raw_.sys_flags = flags;
    }
    const caio_op &prepare() noexcept
    {
        raw_.buf = path_.data();
        raw_.buf2 = times_;
        return raw_;
    }
    result_type finish(std::int64_t value) noexcept { return error_of(value); }

private:
    std::string path_;
    ::timespec times_[2];
};

/* A read of a directory into memory, borrowed or owned. */
template <class Memory>
class listing final : public detail::memory_operation<detail::basic_operation<listing<Memory>>, Memory> {
public:
    listing(descriptor fd, Memory memory) noexcept : listing::memory_operation(std::move(memory), std::uint8_t{CAIO_OP_GETDENTS}, fd.get()) {}
};

/* An entry of a directory. The name lies in the memory that was read. */
struct directory_entry {
    std::string_view name;
    std::uint64_t inode;
    unsigned char type; /* DT_* of readdir(3) */
};

/* The entries in memory that read_dir filled: for (caio::directory_entry entry : caio::entries(memory, count)) */
class entries {
public:
    class iterator {
    public:
        using value_type = directory_entry;
        using difference_type = std::ptrdiff_t;

        directory_entry operator*() const noexcept
        {
            directory_entry found = {name(), 0, static_cast<unsigned char>(record_[type_at])};
            std::memcpy(&found.inode, record_, sizeof found.inode);
            return found;
        }
        iterator &operator++() noexcept
        {
            std::uint16_t size;
            std::memcpy(&size, record_ + size_at, sizeof size);
            record_ += size;
            return *this;
        }
        bool operator==(const iterator &other) const noexcept { return record_ == other.record_; }
        bool operator!=(const iterator &other) const noexcept { return record_ != other.record_; }

    private:
        friend class entries;
        /* Of struct linux_dirent64. */
        static constexpr std::size_t size_at = 16, type_at = 18, name_at = 19;
        explicit iterator(const std::byte *record) noexcept : record_(record) {}
        const char *name() const noexcept { return static_cast<const char *>(static_cast<const void *>(record_ + name_at)); }
        const std::byte *record_;
    };

    /* `count` is the result of read_dir. */
    entries(const_bytes memory, std::size_t count) noexcept : first_(memory.data()), end_(memory.data() + count) {}
    iterator begin() const noexcept { return iterator(first_); }
    iterator end() const noexcept { return iterator(end_); }

private:
    const std::byte *first_, *end_;
};

#if defined(__linux__)
/* Gets the status of `path`; `flags` are AT_*, `mask` is STATX_*. See statx(2). */
inline stat_operation stat(std::string path, int flags = 0, unsigned mask = 0x7ff, descriptor directory = AT_FDCWD) noexcept
{
    return stat_operation(directory, std::move(path), flags, mask);
}
/* Gets the status of an open file. */
inline stat_operation stat_fd(descriptor fd, unsigned mask = 0x7ff) noexcept { return stat_operation(fd, "", AT_EMPTY_PATH, mask); }
/* Gets the status of the file system that holds a file. See fstatfs(2). */
inline statfs_operation statfs(descriptor fd) noexcept { return statfs_operation(fd); }
#endif
/* Renames a file; `flags` are RENAME_*. Both paths are relative to `directory`. See renameat2(2). */
inline command rename(std::string from, std::string to, unsigned flags = 0, descriptor directory = AT_FDCWD)
{
    return command(CAIO_OP_RENAMEAT, directory).paths(std::move(from), std::move(to)).how(flags);
}
/* Renames a file into another directory; `flags` are RENAME_*. */
inline command rename_between(descriptor from_directory, std::string from, descriptor to_directory, std::string to, unsigned flags = 0)
{
    return rename(std::move(from), std::move(to), flags, from_directory).into(to_directory);
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
/* Creates a hard link in another directory; `flags` are AT_*. */
inline command link_between(descriptor from_directory, std::string from, descriptor to_directory, std::string to, unsigned flags = 0)
{
    return link(std::move(from), std::move(to), flags, from_directory).into(to_directory);
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
/* Reads the text of a symbolic link. A longer text is cut to `room` bytes. See readlinkat(2). */
inline text_operation read_link(std::string path, descriptor directory = AT_FDCWD, std::size_t room = 4096)
{
    return text_operation(CAIO_OP_READLINKAT, directory, std::move(path), room);
}
/* Changes the owner and the group; -1 leaves one unchanged. See fchownat(2). */
inline command chown(std::string path, ::uid_t user, ::gid_t group, unsigned flags = 0, descriptor directory = AT_FDCWD)
{
    return command(CAIO_OP_FCHOWNAT, directory).path(std::move(path)).range(0, group).how(flags, user);
}
/* Changes the times; UTIME_NOW and UTIME_OMIT are allowed as tv_nsec. See utimensat(2). */
inline times_operation set_times(std::string path, ::timespec access, ::timespec modification, unsigned flags = 0,
                                 descriptor directory = AT_FDCWD) noexcept
{
    return times_operation(directory, std::move(path), access, modification, flags);
}
/* Checks the permissions of the process; `mode` is F_OK, or of R_OK, W_OK and X_OK. See faccessat2(2). */
inline command access(std::string path, int mode, unsigned flags = 0, descriptor directory = AT_FDCWD)
{
    return command(CAIO_OP_FACCESSAT, directory).path(std::move(path)).how(flags, static_cast<std::uint32_t>(mode));
}
/* Creates a directory. See mkdirat(2). */
inline command mkdir(std::string path, ::mode_t mode = 0777, descriptor directory = AT_FDCWD)
{
    return command(CAIO_OP_MKDIRAT, directory).path(std::move(path)).how(0, mode);
}
/* Creates a FIFO, a socket, a device or a regular file. See mknodat(2). */
inline command mknod(std::string path, ::mode_t mode, ::dev_t device = 0, descriptor directory = AT_FDCWD)
{
    return command(CAIO_OP_MKNODAT, directory).path(std::move(path)).range(device, 0).how(0, mode);
}

/* Reads entries of a directory into `memory`; 0 at the end. Borrows `memory`. See getdents64(2), and caio::entries. */
template <class T, std::enable_if_t<detail::is_borrowed<T>, int> = 0> listing<bytes> read_dir(descriptor fd, T &&memory) noexcept
{
    return {fd, bytes(memory)};
}
/* Reads entries into `memory`, which the operation owns until it completes. */
template <class T, std::enable_if_t<detail::is_owned<T>, int> = 0> listing<T> read_dir(descriptor fd, T &&memory) noexcept
{
    return {fd, std::move(memory)};
}

/* Gets the value of an extended attribute. ERANGE: it is longer than `room`. See fgetxattr(2). */
inline text_operation get_xattr(descriptor fd, std::string name, std::size_t room = 4096)
{
    return text_operation(CAIO_OP_FGETXATTR, fd, std::move(name), room);
}
/* Sets an extended attribute; `flags` are XATTR_*. See fsetxattr(2). */
inline command set_xattr(descriptor fd, std::string name, std::string value, unsigned flags = 0)
{
    std::size_t size = value.size();
    return command(CAIO_OP_FSETXATTR, fd).paths(std::move(name), std::move(value)).range(0, size).how(flags);
}
/* Lists the names of the extended attributes, each with a null byte behind it. See flistxattr(2). */
inline text_operation list_xattr(descriptor fd, std::size_t room = 4096) { return text_operation(CAIO_OP_FLISTXATTR, fd, {}, room); }
/* Removes an extended attribute. See fremovexattr(2). */
inline command remove_xattr(descriptor fd, std::string name)
{
    return command(CAIO_OP_FREMOVEXATTR, fd).path(std::move(name));
}

} // namespace caio

#endif
