/* Copies owners, extended attributes, mode, access control lists (ACLs) and times, one operation after the other. */
#include "caio-cp.h"

/* An ACL is an extended attribute: a version, then entries, all little-endian. See linux/posix_acl_xattr.h. */
struct entry {
    uint16_t tag, permissions;
    uint32_t id;
};

enum { VERSION_SIZE = 4, OWNING_GROUP = 0x04, ROOM = 64 * 1024 /* XATTR_SIZE_MAX and XATTR_LIST_MAX */ };

static const char access_acl[] = "system.posix_acl_access", default_acl[] = "system.posix_acl_default";
static const char both_acls[] = "system.posix_acl_access\0system.posix_acl_default";

/* The names to read, then the value of one, while the attributes of a file are read. */
struct reading {
    struct request request;
    struct place source;
    struct attribute **end;
    void (*then)(void *owner);
    void *owner;
    const char *name;
    size_t left;
    char names[ROOM], value[ROOM];
};

void free_attributes(struct attribute *list)
{
    while (list) {
        struct attribute *next = list->next;
        free(list);
        list = next;
    }
}

static void add_attribute(struct attribute ***end, const char *name, const void *value, int64_t result)
{
    size_t size = result < 0 ? 0 : (size_t)result;
    struct attribute *new;
    if (result == -ENODATA || result == -EOPNOTSUPP)
        return;
    new = checked_alloc(malloc(sizeof *new + size));
    new->next = NULL;
    new->error = result < 0 ? (int)-result : 0;
    new->size = size;
    snprintf(new->name, sizeof new->name, "%s", name);
    memcpy(new->value, value, size);
    **end = new;
    *end = &new->next;
}

static const struct attribute *find_attribute(const struct attribute *list, const char *name)
{
    while (list && strcmp(list->name, name) != 0)
        list = list->next;
    return list;
}

/* Reading. */

static void read_next(struct reading *reading);

static void value_read(struct request *request, int64_t result)
{
    struct reading *reading = (struct reading *)request;
    size_t length = strlen(reading->name) + 1;
    add_attribute(&reading->end, reading->name, reading->value, result);
    reading->name += length;
    reading->left -= length;
    read_next(reading);
}

static void read_next(struct reading *reading)
{
    caio_op op = fd_op(CAIO_OP_FGETXATTR, reading->source.fd);
    if (reading->left == 0 || interrupted) {
        reading->then(reading->owner);
        free(reading);
        return;
    }
    op.buf = (void *)reading->name;
    op.buf2 = reading->value;
    op.len = ROOM;
    send_request(&reading->request, op, value_read);
}

static void names_read(struct request *request, int64_t result)
{
    struct reading *reading = (struct reading *)request;
    reading->name = reading->names;
    reading->left = result > 0 ? (size_t)result : 0;
    read_next(reading);
}

static void read_names(struct reading *reading)
{
    caio_op op = fd_op(CAIO_OP_FLISTXATTR, reading->source.fd);
    op.buf2 = reading->names;
    op.len = ROOM;
    send_request(&reading->request, op, names_read);
}

static void read_special(struct place source, struct attribute ***end)
{
    char value[ROOM];
    add_attribute(end, access_acl, value, read_special_acl(&source, value, sizeof value));
}

void read_attributes(struct place source, bool folder, struct attribute **list, void (*then)(void *), void *owner)
{
    struct reading *reading;
    if (!loop_supports(CAIO_OP_FGETXATTR)) {
        then(owner);
        return;
    }
    if (source.name) {
        read_special(source, &list);
        then(owner);
        return;
    }
    reading = checked_alloc(malloc(sizeof *reading));
    reading->source = source;
    reading->end = list;
    reading->then = then;
    reading->owner = owner;
    reading->name = both_acls;
    reading->left = folder ? sizeof both_acls : sizeof access_acl;
    if (options.archive)
        read_names(reading);
    else
        read_next(reading);
}

/* Setting: a list of steps. A step sends an operation and returns true, or has nothing to do and returns false. */

struct keeping {
    struct request request;
    struct place target;
    const struct statx *st;
    const struct folder *folder;
    const char *name;
    const struct attribute *list, *next;
    unsigned step;
    int error;          /* of the permissions */
    mode_t mode;
    struct statx now;
    struct timespec times[2];
    void (*then)(void *owner);
    void *owner;
};

static void go_on(struct keeping *keeping);

static caio_op target_op(const struct keeping *keeping, uint8_t opcode)
{
    caio_op op = path_op(opcode, keeping->target.fd, keeping->target.name ? keeping->target.name : "");
    op.sys_flags = keeping->target.name ? AT_SYMLINK_NOFOLLOW : AT_EMPTY_PATH;
    return op;
}

static caio_op attribute_op(const struct keeping *keeping, const struct attribute *attribute)
{
    caio_op op = fd_op(CAIO_OP_FSETXATTR, keeping->target.fd);
    op.buf = (void *)attribute->name;
    op.buf2 = (void *)attribute->value;
    op.len = attribute->size;
    return op;
}

static void report(const struct keeping *keeping, int64_t result, const char *what)
{
    if (result < 0 && !interrupted)
        complain_at((int)-result, what, keeping->folder, keeping->name, TARGET);
}

static bool is_link(const struct keeping *keeping)
{
    return S_ISLNK(keeping->st->stx_mode);
}

/* Only root may give files away. For other users the copy keeps the group, if they are a member of it. */
static void group_set(struct request *request, int64_t result)
{
    (void)result;
    go_on((struct keeping *)request);
}

static void owner_set(struct request *request, int64_t result)
{
    struct keeping *keeping = (struct keeping *)request;
    caio_op op = request->op;
    if (result == -EPERM && geteuid() != 0) {
        op.mode = UINT32_MAX;
        send_request(request, op, group_set);
        return;
    }
    report(keeping, result, "preserving ownership for '%s'");
    go_on(keeping);
}

static bool set_owner(struct keeping *keeping)
{
    caio_op op = target_op(keeping, CAIO_OP_FCHOWNAT);
    if (!options.archive || !loop_supports(CAIO_OP_FCHOWNAT))
        return false;
    op.mode = keeping->st->stx_uid;
    op.len = keeping->st->stx_gid;
    send_request(&keeping->request, op, owner_set);
    return true;
}

static bool is_acl(const struct attribute *attribute)
{
    return strcmp(attribute->name, access_acl) == 0 || strcmp(attribute->name, default_acl) == 0;
}

/* As with cp -a, an attribute that the file system or the user cannot have is left out. */
static void attribute_set(struct request *request, int64_t result)
{
    struct keeping *keeping = (struct keeping *)request;
    if (result != -EOPNOTSUPP && !(result == -EPERM && geteuid() != 0))
        report(keeping, result, "setting attributes for '%s'");
    keeping->step--;
    go_on(keeping);
}

static bool set_attributes(struct keeping *keeping)
{
    const struct attribute *attribute;
    while ((attribute = keeping->next) && (is_acl(attribute) || attribute->error != 0))
        keeping->next = attribute->next;
    if (!attribute)
        return false;
    keeping->next = attribute->next;
    send_request(&keeping->request, attribute_op(keeping, attribute), attribute_set);
    return true;
}

/* In the mode of a file with an ACL, the group bits are the mask of the ACL. In a copy without the ACL, they must not
 * exceed the rights of the owning group. */
static mode_t mode_without(const struct attribute *acl, mode_t mode)
{
    mode_t group = 0;
    for (size_t at = VERSION_SIZE; at + sizeof(struct entry) <= acl->size; at += sizeof(struct entry)) {
        struct entry entry;
        memcpy(&entry, acl->value + at, sizeof entry);
        if (le16toh(entry.tag) == OWNING_GROUP)
            group = (mode_t)(le16toh(entry.permissions) << 3);
    }
    return mode & (group | (mode_t)~S_IRWXG);
}

static void access_acl_failed(struct keeping *keeping, int error)
{
    const struct attribute *acl = find_attribute(keeping->list, access_acl);
    keeping->error = error;
    if (acl)
        keeping->mode = mode_without(acl, keeping->mode);
}

/* Without an ACL of its own, the file must not keep one that it inherited from the folder. */
static bool no_acl_to_remove(int64_t result)
{
    return result == -ENODATA || result == -EOPNOTSUPP;
}

static void access_acl_set(struct request *request, int64_t result)
{
    struct keeping *keeping = (struct keeping *)request;
    if (result < 0 && !(request->op.opcode == CAIO_OP_FREMOVEXATTR && no_acl_to_remove(result)))
        access_acl_failed(keeping, (int)-result);
    go_on(keeping);
}

static bool set_acl(struct keeping *keeping, const char *name, void (*done)(struct request *, int64_t))
{
    const struct attribute *acl = find_attribute(keeping->list, name);
    caio_op op = fd_op(CAIO_OP_FREMOVEXATTR, keeping->target.fd);
    op.buf = (void *)name;
    send_request(&keeping->request, acl ? attribute_op(keeping, acl) : op, done);
    return true;
}

static bool set_access_acl(struct keeping *keeping)
{
    const struct attribute *acl = find_attribute(keeping->list, access_acl);
    if (is_link(keeping) || !loop_supports(CAIO_OP_FSETXATTR))
        return false;
    if (acl && acl->error != 0)
        access_acl_failed(keeping, acl->error);
    else if (!keeping->target.name)
        return set_acl(keeping, access_acl, access_acl_set);
    else {
        int error = set_special_acl(&keeping->target, acl ? acl->value : NULL, acl ? acl->size : 0);
        if (error < 0)
            access_acl_failed(keeping, -error);
    }
    return false;
}

/* A program must not become set-user-ID to the user who copies it. */
static void owner_known(struct request *request, int64_t result)
{
    struct keeping *keeping = (struct keeping *)request;
    if (result < 0 || keeping->now.stx_uid != keeping->st->stx_uid)
        keeping->mode &= (mode_t)~S_ISUID;
    if (result < 0 || keeping->now.stx_gid != keeping->st->stx_gid)
        keeping->mode &= (mode_t)~S_ISGID;
    go_on(keeping);
}

static bool look_at_owner(struct keeping *keeping)
{
    caio_op op = target_op(keeping, CAIO_OP_STATX);
    if ((keeping->mode & (S_ISUID | S_ISGID)) == 0 || is_link(keeping))
        return false;
    op.mode = STATX_UID | STATX_GID;
    op.buf2 = &keeping->now;
    send_request(&keeping->request, op, owner_known);
    return true;
}

static void permissions_set(struct request *request, int64_t result)
{
    struct keeping *keeping = (struct keeping *)request;
    if (result < 0)
        keeping->error = (int)-result;
    go_on(keeping);
}

/* After the ACL, because setting an ACL may clear the set-group-ID bit. */
static bool set_mode(struct keeping *keeping)
{
    caio_op op = target_op(keeping, CAIO_OP_FCHMODAT);
    if (is_link(keeping))
        return false;
    if (keeping->target.name)
        op.sys_flags = 0; /* not a link */
    op.mode = keeping->mode;
    send_request(&keeping->request, op, permissions_set);
    return true;
}

static void default_acl_set(struct request *request, int64_t result)
{
    bool removed = request->op.opcode == CAIO_OP_FREMOVEXATTR && no_acl_to_remove(result);
    permissions_set(request, removed ? 0 : result);
}

static bool set_default_acl(struct keeping *keeping)
{
    const struct attribute *acl = find_attribute(keeping->list, default_acl);
    if (!S_ISDIR(keeping->st->stx_mode) || keeping->error != 0 || !loop_supports(CAIO_OP_FSETXATTR))
        return false;
    if (!acl || acl->error == 0)
        return set_acl(keeping, default_acl, default_acl_set);
    keeping->error = acl->error;
    return false;
}

static bool report_permissions(struct keeping *keeping)
{
    report(keeping, -keeping->error, "preserving permissions for '%s'");
    return false;
}

static void times_set(struct request *request, int64_t result)
{
    report((struct keeping *)request, result, "preserving times for '%s'");
    go_on((struct keeping *)request);
}

void times_of(const struct statx *st, struct timespec times[2])
{
    times[0] = (struct timespec){.tv_sec = st->stx_atime.tv_sec, .tv_nsec = st->stx_atime.tv_nsec};
    times[1] = (struct timespec){.tv_sec = st->stx_mtime.tv_sec, .tv_nsec = st->stx_mtime.tv_nsec};
}

static bool set_times(struct keeping *keeping)
{
    caio_op op = target_op(keeping, CAIO_OP_UTIMENSAT);
    times_of(keeping->st, keeping->times);
    op.buf2 = keeping->times;
    send_request(&keeping->request, op, times_set);
    return true;
}

static bool (*const steps[])(struct keeping *) = {set_owner, set_attributes,  set_access_acl,     look_at_owner,
                                                  set_mode,  set_default_acl, report_permissions, set_times};

static void go_on(struct keeping *keeping)
{
    while (keeping->step < sizeof steps / sizeof *steps && !interrupted)
        if (steps[keeping->step++](keeping))
            return;
    keeping->then(keeping->owner);
    free(keeping);
}

void keep_attributes(struct place target, const struct statx *st, const struct attribute *list, const struct folder *folder,
                     const char *name, void (*then)(void *), void *owner)
{
    struct keeping *keeping = checked_alloc(calloc(1, sizeof *keeping));
    keeping->target = target;
    keeping->st = st;
    keeping->list = keeping->next = list;
    keeping->folder = folder;
    keeping->name = name;
    keeping->mode = st->stx_mode & 07777;
    keeping->then = then;
    keeping->owner = owner;
    go_on(keeping);
}
