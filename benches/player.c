#include "player.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READY = 'r', REFUSED = 'n' };

static void *shared_memory(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        die("mmap", errno);
    memset(memory, 'a', size);
    return memory;
}

static size_t buffers_size(const struct stage *stage)
{
    return stage->plan.depth * turn_buffer_size(stage->target.row);
}

int stage_open(struct stage *stage, const struct row *row, const char *folder, const struct plan *plan)
{
    *stage = (struct stage){.folder = folder, .plan = *plan, .shared = shared_memory(sizeof *stage->shared)};
    if (!target_open(&stage->target, row, folder, plan->depth, stage->shared->why, sizeof stage->shared->why))
        return 0;
    stage->buffers = shared_memory(buffers_size(stage));
    return 1;
}

void stage_close(struct stage *stage)
{
    if (stage->buffers) {
        munmap(stage->buffers, buffers_size(stage));
        target_close(&stage->target);
    }
    munmap(stage->shared, sizeof *stage->shared);
}

static void say(int line, char word)
{
    if (send(line, &word, 1, MSG_NOSIGNAL) != 1)
        die("the process of an engine", errno);
}

/* Returns the byte that the other process sent, or 0 if that process has ended. */
static char hear(int line)
{
    char word = 0;
    ssize_t got;

    do
        got = read(line, &word, 1);
    while (got < 0 && errno == EINTR);
    return got == 1 ? word : 0;
}

/* The processors of a virtual machine are not equally fast, and threads tend to stay on one. All engines start a round on
 * the same processor, and the next round on another. After the start, the kernel schedules them freely. */
static void begin_on(unsigned number)
{
    cpu_set_t all, one;

    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof all, &all) < 0)
        return;
    for (unsigned cpu = 0, left = number % (unsigned)CPU_COUNT(&all); cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &all) && left-- == 0) {
            CPU_SET(cpu, &one);
            break;
        }
    if (sched_setaffinity(0, sizeof one, &one) == 0)
        sched_setaffinity(0, sizeof all, &all);
}

static int live(struct stage *stage, const struct engine *engine, int line)
{
    struct shared *shared = stage->shared;
    uint64_t usual = stage->plan.turn_ns / 5, warm = 5 * usual;

    begin_on(shared->cpu);
    target_reopen(&stage->target, stage->folder);
    struct turns *turns =
        turns_open(engine, &stage->target, &stage->plan, stage->buffers, shared->why, sizeof shared->why);
    say(line, turns ? READY : REFUSED);
    if (!turns)
        return 0;
    while (hear(line)) {
        stage->target.next = shared->next;
        /* begin_on moves only this thread. Cached reads need no other. */
        if (stage->target.row->kind == READ && stage->target.row->cache == CACHED)
            begin_on(shared->cpu);
        turns_play(turns, warm, &shared->result);
        shared->next = stage->target.next;
        warm = usual;
        say(line, READY);
    }
    turns_close(turns);
    return 0;
}

static _Noreturn void failed(const struct player *player, const struct stage *stage)
{
    fprintf(stderr, "bench: %s failed in %s at depth %u\n", player->engine->name, stage->target.row->name,
            stage->plan.depth);
    exit(1);
}

int player_start(struct player *player, struct stage *stage, const struct engine *engine, unsigned cpu)
{
    int ends[2];

    /* Later players inherit a copy of this player's socket. They are stopped first, and end with this program. */
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        die("socketpair", errno);
    stage->shared->cpu = cpu;
    *player = (struct player){.engine = engine, .line = ends[0], .pid = fork()};
    if (player->pid < 0)
        die("fork", errno);
    if (player->pid == 0) {
        close(ends[0]);
        _exit(live(stage, engine, ends[1]));
    }
    close(ends[1]);
    switch (hear(player->line)) {
    case READY:
        return 1;
    case REFUSED:
        player_stop(player);
        return 0;
    default:
        failed(player, stage);
    }
}

void player_turn(struct player *player, struct stage *stage, unsigned cpu)
{
    stage->shared->cpu = cpu;
    stage->shared->next = stage->target.next;
    say(player->line, READY);
    if (hear(player->line) != READY)
        failed(player, stage);
    stage->target.next = stage->shared->next;
}

void player_stop(struct player *player)
{
    close(player->line);
    waitpid(player->pid, NULL, 0);
}
