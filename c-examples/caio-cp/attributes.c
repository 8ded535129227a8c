/* Copies mode, access control lists (ACLs) and times, as cp -p does. */
#include "caio-cp.h"
#include <endian.h>
#include <sys/xattr.h>

/* An ACL is an extended attribute: a version, then entries, all little-endian. See linux/posix_acl_xattr.h. */
struct entry {
    uint16_t tag, permissions;
    uint32_t id;
};

enum { VERSION_SIZE = 4, OWNING_GROUP = 0x04 };

static const char *const attribute[] = {[ACCESS_ACL] = "system.posix_acl_access", [DEFAULT_ACL] = "system.posix_acl_default"};

/* The xattr system calls have no directory descriptor, so a name in an open folder needs a path through /proc. */
static const char *path_to(const struct place *place, char *path, size_t size)
{
    if (place->fd == AT_FDCWD)
        return place->name;
    snprintf(path, size, "/proc/self/fd/%d/%s", place->fd, place->name);
    return path;
}

enum { PATH_SIZE = NAME_MAX + 32 };

static ssize_t get_acl(const struct place *place, enum acl_kind kind, void *data, size_t size)
{
    char path[PATH_SIZE];
    if (!place->name)
        return fgetxattr(place->fd, attribute[kind], data, size);
    return lgetxattr(path_to(place, path, sizeof path), attribute[kind], data, size);
}

static int set_acl(const struct place *place, enum acl_kind kind, const struct acl *acl)
{
    char path[PATH_SIZE];
    if (!place->name)
        return fsetxattr(place->fd, attribute[kind], acl->data, acl->size, 0);
    return lsetxattr(path_to(place, path, sizeof path), attribute[kind], acl->data, acl->size, 0);
}

/* In a folder with a default ACL, a new file inherits it. */
static int remove_acl(const struct place *place, enum acl_kind kind)
{
    char path[PATH_SIZE];
    if (get_acl(place, kind, NULL, 0) < 0)
        return 0;
    if (!place->name)
        return fremovexattr(place->fd, attribute[kind]);
    return lremovexattr(path_to(place, path, sizeof path), attribute[kind]);
}

struct acl *read_acl(struct place place, enum acl_kind kind)
{
    char data[64 * 1024]; /* XATTR_SIZE_MAX */
    struct acl *acl;
    ssize_t size = get_acl(&place, kind, data, sizeof data);
    int error = size < 0 ? errno : 0;
    if (error == ENODATA || error == EOPNOTSUPP)
        return NULL;
    size = size < 0 ? 0 : size;
    acl = checked_alloc(malloc(sizeof *acl + (size_t)size));
    acl->error = error;
    acl->size = (size_t)size;
    memcpy(acl->data, data, (size_t)size);
    return acl;
}

/* In the mode of a file with an ACL, the group bits are the mask of the ACL. In a copy without the ACL, they must not
 * exceed the rights of the owning group. */
static mode_t mode_without(const struct acl *acl, mode_t mode)
{
    mode_t group = 0;
    for (size_t at = VERSION_SIZE; at + sizeof(struct entry) <= acl->size; at += sizeof(struct entry)) {
        struct entry entry;
        memcpy(&entry, acl->data + at, sizeof entry);
        if (le16toh(entry.tag) == OWNING_GROUP)
            group = (mode_t)(le16toh(entry.permissions) << 3);
    }
    return mode & (group | (mode_t)~S_IRWXG);
}

/* Returns 0 or an errno. */
static int copy_acl(const struct place *target, enum acl_kind kind, const struct acl *acl)
{
    if (acl && acl->error != 0)
        return acl->error;
    return (acl ? set_acl(target, kind, acl) : remove_acl(target, kind)) < 0 ? errno : 0;
}

static int get_stat(const struct place *place, struct stat *st)
{
    return place->name ? fstatat(place->fd, place->name, st, AT_SYMLINK_NOFOLLOW) : fstat(place->fd, st);
}

static int set_mode(const struct place *place, mode_t mode)
{
    return place->name ? fchmodat(place->fd, place->name, mode, 0) : fchmod(place->fd, mode);
}

/* Owners are not kept: a program must not become set-user-ID to the user who copies it. */
static mode_t safe_mode(const struct place *target, const struct statx *st)
{
    mode_t mode = st->stx_mode & 07777;
    struct stat now;
    if ((mode & (S_ISUID | S_ISGID)) == 0)
        return mode;
    if (get_stat(target, &now) < 0)
        return mode & (mode_t)~(S_ISUID | S_ISGID);
    if (now.st_uid != st->stx_uid)
        mode &= (mode_t)~S_ISUID;
    if (now.st_gid != st->stx_gid)
        mode &= (mode_t)~S_ISGID;
    return mode;
}

/* Sets the mode after the ACL, because setting an ACL may clear the set-group-ID bit. */
static int copy_permissions(const struct place *target, const struct statx *st, struct acl *const acls[])
{
    mode_t mode = safe_mode(target, st);
    int error = copy_acl(target, ACCESS_ACL, acls[ACCESS_ACL]);
    if (error != 0 && acls[ACCESS_ACL])
        mode = mode_without(acls[ACCESS_ACL], mode);
    if (set_mode(target, mode) < 0)
        error = errno;
    if (error == 0 && S_ISDIR(st->stx_mode))
        error = copy_acl(target, DEFAULT_ACL, acls[DEFAULT_ACL]);
    return error;
}

void keep_times(struct place target, const struct statx *st, const struct folder *folder, const char *name)
{
    struct timespec times[2] = {{.tv_sec = st->stx_atime.tv_sec, .tv_nsec = st->stx_atime.tv_nsec},
                                {.tv_sec = st->stx_mtime.tv_sec, .tv_nsec = st->stx_mtime.tv_nsec}};
    int result = target.name ? utimensat(target.fd, target.name, times, AT_SYMLINK_NOFOLLOW) : futimens(target.fd, times);
    if (result < 0)
        complain_at(errno, "preserving times for '%s'", folder, name, TARGET);
}

void keep_attributes(struct place target, const struct statx *st, struct acl *const acls[], const struct folder *folder,
                     const char *name)
{
    int error = copy_permissions(&target, st, acls);
    if (error != 0)
        complain_at(error, "preserving permissions for '%s'", folder, name, TARGET);
    keep_times(target, st, folder, name);
}
